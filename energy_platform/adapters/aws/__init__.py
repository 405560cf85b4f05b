"""The platform's resources on AWS: what they are called, making and removing them, who may do what, what they cost.

``plan`` names everything, ``client`` connects, ``resources`` makes and removes one kind each,
``stack`` puts them together, ``policies`` writes IAM documents, ``costs`` estimates. Nothing here
needs IAM rights: the policies are files that an administrator applies.
"""
