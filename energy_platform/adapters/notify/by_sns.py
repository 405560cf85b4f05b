"""A topic of AWS SNS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from energy_platform.domain.alerts.channels import DeliveryFailed, Outgoing

# SNS takes subjects of 100 ASCII characters without line breaks.
SUBJECT_LENGTH = 100


class SnsChannel:
    """One topic; a FIFO topic takes a delivery key once within five minutes, whoever repeats it.

    Args:
        name: of the channel.
        topic_arn: of the topic.
        make_client: makes boto3's client when the first message goes out.
    """

    family = "text"

    def __init__(self, name: str, topic_arn: str, make_client: Callable[[], Any]) -> None:
        self.name, self._topic_arn, self._make_client = name, topic_arn, make_client
        self._client: Any = None

    def send(self, message: Outgoing) -> None:
        """Publish one message.

        Raises:
            DeliveryFailed: AWS refused it, or did not answer in time.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        fifo = {}
        if self._topic_arn.endswith(".fifo"):
            fifo = {"MessageGroupId": "alerts", "MessageDeduplicationId": message.delivery_key[:128]}
        try:
            self._client = self._client or self._make_client()
            self._client.publish(
                TopicArn=self._topic_arn,
                Subject=_subject(message.title),
                Message=message.body,
                MessageAttributes={
                    "delivery_key": {"DataType": "String", "StringValue": message.delivery_key},
                    "severity": {"DataType": "String", "StringValue": message.severity},
                },
                **fifo,
            )
        except (BotoCoreError, ClientError) as error:
            raise DeliveryFailed(str(error)) from None


def _subject(title: str) -> str:
    plain = " ".join(title.encode("ascii", "replace").decode().split())
    return plain[:SUBJECT_LENGTH] or "Energy alert"
