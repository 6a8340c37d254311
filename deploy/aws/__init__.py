"""The ground that PDSHub stands on at AWS, as one CloudFormation template, and the checks of it.

Validated, not deployed: nobody has made a stack of it yet.
"""
