"""Certificates between operator, node plugins and surveyors: one small authority, kept in Secrets, renewed in time.

A report says what users have mounted, and no pod shall read or forge it: only the operator may ask for it. A surveyor
does what the operator says, and gives node plugins what they mount: each proves of which view it is.
"""

from pdshub.pki.authority import Authority, Due
from pdshub.pki.certificate import Pair, issue
from pdshub.pki.secrets import CA, LEAVES, NODE, OPERATOR, Credentials, Leaf, ensure, surveyor_secret
from pdshub.tls_names import CERTIFICATE, KEY, TRUST

__all__ = [
    "CA",
    "CERTIFICATE",
    "KEY",
    "LEAVES",
    "NODE",
    "OPERATOR",
    "TRUST",
    "Authority",
    "Credentials",
    "Due",
    "Leaf",
    "Pair",
    "ensure",
    "issue",
    "surveyor_secret",
]
