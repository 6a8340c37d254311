import os
pwd = os.path.dirname(__file__)

c.JupyterHub.spawner_class = 'dockerspawner.SystemUserSpawner'
c.JupyterHub.authenticator_class = 'jupyterhub.auth.PAMAuthenticator'
c.DockerSpawner.container_image = os.environ['JUPYTERHUB_IMAGE']
c.DockerSpawner.remove_containers = True
c.DockerSpawner.escape = 'legacy'
c.SystemUserSpawner.host_homedir_format_string = '/export/homes/{username}'
c.DockerSpawner.extra_host_config = {'mem_limit': '2g', 'cpu_period': 100000, 'cpu_quota': 150000, 'privileged': False}
c.DockerSpawner.read_only_volumes = {'/export/data': '/data', '/etc/localtime': '/etc/localtime'}

c.Authenticator.whitelist = whitelist = set()
c.Authenticator.admin_users = admin = set()
c.JupyterHub.admin_access = True
with open(os.path.join(pwd, 'userlist')) as f:
    for line in f:
        if not line:
            continue
        parts = line.split()
        if len(parts) >= 1:
            name = parts[0]
            whitelist.add(name)
            if len(parts) > 1 and parts[1] == 'admin':
                admin.add(name)
