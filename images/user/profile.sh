# /etc/profile.d: terminals of a user's server are login shells, and Debian's /etc/profile begins PATH anew.
PATH=/opt/user/bin:/opt/jupyter/bin:$PATH
# the server's own, which holds nothing of the user's
unset JUPYTER_CONFIG_DIR
