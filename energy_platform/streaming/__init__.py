"""The long-running process of a stream: consume ▸ validate ▸ hot rules ▸ land ▸ acknowledge."""
