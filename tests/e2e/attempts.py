"""What test_98_escape.py runs in a notebook: programs as text. PRELUDE comes first; FILE is a file below /archive, and
VIEW the folder of its view. Each attempt is a process of its own and ends as "done" or as the name of an errno."""

from __future__ import annotations

PRELUDE = r"""
import ctypes, errno, fcntl, json, mmap, os, platform, shutil, signal, socket, stat, struct, tempfile
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
NUMBERS = {  # x86_64, aarch64
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
    "bpf": (321, 280), "perf_event_open": (298, 241), "pivot_root": (155, 41), "chroot": (161, 51),
    "swapon": (167, 224), "acct": (163, 89), "quotactl": (179, 60), "settimeofday": (164, 170),
    "sethostname": (170, 161), "setns": (308, 268), "unshare": (272, 97), "mount": (165, 40), "umount2": (166, 39),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "keyctl": (250, 219), "iopl": (172, None),
    "ioperm": (173, None), "fanotify_init": (300, 262), "setuid": (105, 146),
    "setgid": (106, 144), "setgroups": (116, 159), "capset": (126, 91),
    "mount_setattr": (442, 442), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "fsmount": (432, 432), "fspick": (433, 433), "openat2": (437, 437),
    "fallocate": (285, 47), "renameat2": (316, 276), "setxattr": (188, 5), "removexattr": (197, 14),
    "truncate": (76, 45), "copy_file_range": (326, 285), "splice": (275, 76), "mknodat": (259, 33),
    "linkat": (265, 37), "lookup_dcookie": (212, 18), "syslog": (103, 116), "clone3": (435, 435),
    "utimensat": (280, 88), "fchmodat": (268, 53), "fchownat": (260, 54), "symlinkat": (266, 36),
}
ARCH = {"x86_64": 0, "aarch64": 1}[platform.machine()]

def call(name, *args):
    number = NUMBERS[name][ARCH]
    if number is None:
        raise OSError(errno.ENOSYS, "not on this processor")
    done = libc.syscall(ctypes.c_long(number), *args)
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done

def apart(do):
    # in a process of its own: what it gets done there does not help the attempts after it
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            do()
            said = "done"
        except OSError as error:
            said = errno.errorcode.get(error.errno, str(error.errno))
        except BaseException as error:
            said = type(error).__name__
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 200).decode()
    os.close(read)
    _, status = os.waitpid(child, 0)
    return said or f"killed by signal {os.WTERMSIG(status)}"

buffer = ctypes.create_string_buffer(4096)
tried = {}
def attempt(name, do):
    tried[name] = apart(do)
"""

ESCAPES = r"""
NEW = {"user": 0x10000000, "mnt": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x8000000, "uts": 0x4000000,
       "cgroup": 0x2000000}
for kind, flag in NEW.items():
    attempt(f"unshare {kind}", lambda: call("unshare", flag))
    attempt(f"unshare user and {kind}", lambda: call("unshare", NEW["user"] | flag))
    attempt(f"setns {kind} of 1", lambda: call("setns", os.open(f"/proc/1/ns/{kind}", os.O_RDONLY), 0))
args = struct.pack("8Q", NEW["user"] | NEW["mnt"], 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
def clone3():
    if call("clone3", args, len(args)) == 0:
        os._exit(0)
attempt("clone3 user", clone3)
def clone():
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    done = libc.syscall(ctypes.c_long(number), NEW["user"] | signal.SIGCHLD, 0, 0, 0, 0)
    if done == 0:
        os._exit(0)
    if done < 0:
        raise OSError(ctypes.get_errno(), "")
attempt("clone user", clone)

attempt("mount tmpfs", lambda: call("mount", b"x", b"/tmp", b"tmpfs", 0, None))
attempt("mount proc", lambda: call("mount", b"proc", b"/tmp", b"proc", 0, None))
attempt("mount nfs", lambda: call("mount", b"nas:/pds", b"/tmp", b"nfs4", 0, None))
attempt("bind the root", lambda: call("mount", b"/", b"/tmp", None, 4096, None))
attempt("bind the archive", lambda: call("mount", b"/archive", b"/tmp", None, 4096 | 16384, None))
attempt("archive writable", lambda: call("mount", None, VIEW.encode(), None, 32, None))
attempt("archive writable, bound", lambda: call("mount", None, VIEW.encode(), None, 32 | 4096, None))
attempt("archive shared", lambda: call("mount", None, b"/archive", None, 1 << 20, None))
attempt("root shared", lambda: call("mount", None, b"/", None, (1 << 20) | 16384, None))
attempt("umount archive", lambda: call("umount2", VIEW.encode(), 2))
attempt("umount proc", lambda: call("umount2", b"/proc/sys", 2))
attempt("fsopen", lambda: call("fsopen", b"tmpfs", 0))
attempt("fspick", lambda: call("fspick", -100, VIEW.encode(), 0))
attempt("open_tree clone", lambda: call("open_tree", -100, VIEW.encode(), 1))
attempt("mount_setattr", lambda: call("mount_setattr", -100, VIEW.encode(), 0, struct.pack("4Q", 0, 1, 0, 0), 32))
attempt("move_mount", lambda: call("move_mount", -100, VIEW.encode(), -100, b"/tmp", 0))
attempt("pivot_root", lambda: call("pivot_root", b"/tmp", b"/tmp"))
attempt("chroot", lambda: os.chroot("/tmp"))

def handle(where):
    made = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 8 + 128)
    mount = ctypes.c_int()
    try:
        call("name_to_handle_at", -100, where, made, ctypes.byref(mount), 0)
    except OSError:
        made = ctypes.create_string_buffer(struct.pack("IiII", 8, 1, 2, 0), 8 + 128)  # inode 2: the root of an ext4
    return made
def by_handle(where):
    call("open_by_handle_at", os.open(where, os.O_RDONLY), handle(where.encode()), 0)
for where in ("/", VIEW, "/proc/self", os.path.expanduser("~"), "/etc/hosts"):
    attempt(f"open_by_handle_at {where}", lambda: by_handle(where))

def write(path, text="1"):
    with open(path, "w") as out:
        out.write(text)
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/overcommit_memory",
             "/proc/sys/fs/binfmt_misc/register", "/proc/sysrq-trigger", "/proc/sys/kernel/ns_last_pid",
             "/proc/self/setgroups", "/proc/kcore", "/sys/kernel/uevent_helper", "/sys/fs/cgroup/cgroup.procs",
             "/sys/fs/cgroup/release_agent", "/sys/kernel/mm/transparent_hugepage/enabled",
             "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/loop0", "/dev/fuse", "/dev/kvm"):
    attempt(f"write {path}", lambda: write(path))
attempt("write /proc/self/uid_map", lambda: write("/proc/self/uid_map", "0 0 4294967295"))
attempt("be killed last", lambda: write("/proc/self/oom_score_adj", "-1000"))
for path in ("/proc/kcore", "/dev/mem", "/etc/shadow", "/dev/sda", "/dev/kmsg",
             "/var/run/secrets/kubernetes.io/serviceaccount/token", "/run/containerd/containerd.sock",
             "/var/run/docker.sock", "/var/lib/kubelet/config.yaml", "/etc/kubernetes/admin.conf"):
    attempt(f"read {path}", lambda: open(path, "rb").read(1))

home = os.path.expanduser("~")
attempt("setuid 0", lambda: os.setuid(0))
attempt("setgid 0", lambda: os.setgid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("chown to root", lambda: os.chown(tempfile.mkstemp(dir=home)[1], 0, 0))
def capset():
    every = 0xFFFFFFFF
    call("capset", struct.pack("Ii", 0x20080522, 0), struct.pack("6I", every, every, 0, every, every, 0))
attempt("all capabilities", capset)
def setuid_program():
    # a set-uid program, if there is one, gives nothing: no_new_privs
    if libc.prctl(39, 0, 0, 0, 0) == 1:
        raise OSError(errno.EPERM, "no_new_privs")
attempt("set-uid programs", setuid_program)
attempt("block device", lambda: os.mknod(home + "/device", stat.S_IFBLK | 0o666, os.makedev(8, 0)))
attempt("character device", lambda: os.mknod("/tmp/device", stat.S_IFCHR | 0o666, os.makedev(1, 1)))

attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("raw IPv6 socket", lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58))
attempt("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3)))
def promiscuous():
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(line, 0x8914, struct.pack("16sh", b"eth0", 0x100) + bytes(22))  # SIOCSIFFLAGS, IFF_PROMISC
attempt("promiscuous", promiscuous)

for name, args in {
    "init_module": (buffer, 16, b""), "finit_module": (0, b"", 0), "kexec_load": (0, 0, 0, 0), "bpf": (0, buffer, 72),
    "perf_event_open": (ctypes.create_string_buffer(struct.pack("II", 1, 112), 112), -1, 0, -1, 0),
    "swapon": (b"/tmp/x", 0), "acct": (b"/tmp/x",), "settimeofday": (struct.pack("2q", 1, 0), None),
    "sethostname": (b"x", 1), "keyctl": (0, -3, 0), "iopl": (3,), "ioperm": (0, 1, 1),
    "fanotify_init": (0, 0), "lookup_dcookie": (1, buffer, 100), "syslog": (3, buffer, 100),
    "quotactl": (0x80000200, b"/dev/x", 0, buffer),
}.items():
    attempt(name, lambda: call(name, *args))
def reads_the_root_of_another():
    mine, other = os.stat("/"), os.stat("/proc/1/root/")
    if (mine.st_dev, mine.st_ino) == (other.st_dev, other.st_ino):
        raise OSError(errno.EACCES, "it is this container's own")
attempt("/proc/1/root", reads_the_root_of_another)
def other_processes():
    pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
    foreign = [p for p in pids if b"kubelet" in open(f"/proc/{p}/cmdline", "rb").read()]
    if not foreign:
        raise OSError(errno.ESRCH, "none of the node")
attempt("processes of the node", other_processes)
print(json.dumps(tried))
"""

WRITES = r"""
file, folder = FILE, os.path.dirname(FILE)
home = tempfile.mkdtemp(dir=os.path.expanduser("~"))
own = os.path.join(home, "own")
with open(own, "wb") as out:
    out.write(b"x" * 8192)
size, base = os.stat(file).st_size, os.path.basename(file).encode()
rdonly = lambda: os.open(file, os.O_RDONLY)
at = lambda: os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

for name, flags in {"O_WRONLY": os.O_WRONLY, "O_RDWR": os.O_RDWR, "O_APPEND": os.O_WRONLY | os.O_APPEND,
                    "O_TRUNC": os.O_RDONLY | os.O_TRUNC, "O_CREAT": os.O_CREAT | os.O_WRONLY,
                    "O_DIRECT": os.O_RDWR | os.O_DIRECT}.items():
    attempt(f"open {name}", lambda: os.open(file, flags))
attempt("create", lambda: os.open(folder + "/new", os.O_CREAT | os.O_RDONLY | os.O_EXCL))
attempt("create O_TMPFILE", lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600))
attempt("openat2 to write", lambda: call("openat2", at(), base, struct.pack("3Q", os.O_RDWR, 0, 0), 24))
attempt("open again by /proc", lambda: os.open(f"/proc/self/fd/{rdonly()}", os.O_RDWR))
attempt("open O_PATH, then to write", lambda: os.open(f"/proc/self/fd/{os.open(file, os.O_PATH)}", os.O_WRONLY))
attempt("write", lambda: os.write(rdonly(), b"x"))
attempt("pwrite", lambda: os.pwrite(rdonly(), b"x", 0))
attempt("writev", lambda: os.writev(rdonly(), [b"x"]))
attempt("pwritev", lambda: os.pwritev(rdonly(), [b"x"], 0))
attempt("sendfile", lambda: os.sendfile(rdonly(), os.open(own, os.O_RDONLY), 0, 100))
attempt("copy_file_range", lambda: call("copy_file_range", os.open(own, os.O_RDONLY), None, rdonly(), None, 100, 0))
def splice():
    r, w = os.pipe()
    os.write(w, b"x" * 100)
    call("splice", r, None, rdonly(), None, 100, 0)
attempt("splice", splice)
attempt("truncate", lambda: os.truncate(file, 0))
attempt("ftruncate", lambda: os.ftruncate(rdonly(), 0))
attempt("fallocate", lambda: call("fallocate", rdonly(), 3, 0, 4096))
attempt("posix_fallocate", lambda: os.posix_fallocate(rdonly(), 0, 4096))
attempt("mmap to write", lambda: mmap.mmap(rdonly(), size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
shown = lambda: libc.mmap(None, 4096, 1, 1, rdonly(), 0)  # PROT_READ, MAP_SHARED
def mprotect():
    where = shown()
    if libc.mprotect(where, 4096, 3) < 0:
        raise OSError(ctypes.get_errno(), "")
    ctypes.memmove(where, b"x", 1)
attempt("mprotect a shared map", mprotect)
def through_mem():
    where = shown()
    os.pwrite(os.open("/proc/self/mem", os.O_RDWR), b"x", where)
attempt("/proc/self/mem over a shared map", through_mem)

attempt("unlink", lambda: os.unlink(file))
attempt("rmdir", lambda: os.rmdir(folder))
attempt("mkdir", lambda: os.mkdir(folder + "/new"))
attempt("mkfifo", lambda: os.mkfifo(folder + "/new"))
attempt("mknod", lambda: os.mknod(folder + "/new", stat.S_IFREG | 0o600))
attempt("mknodat", lambda: call("mknodat", at(), b"new", stat.S_IFREG | 0o600, 0))
attempt("a socket", lambda: (os.chdir(folder), socket.socket(socket.AF_UNIX).bind("new")))
attempt("symlink", lambda: os.symlink("/etc/passwd", folder + "/new"))
attempt("symlinkat", lambda: call("symlinkat", b"/etc/passwd", at(), b"new"))
attempt("link inside", lambda: os.link(file, folder + "/new"))
attempt("link out", lambda: os.link(file, home + "/new"))
attempt("link in", lambda: os.link(own, folder + "/new"))
attempt("link an open file", lambda: call("linkat", os.open(own, os.O_RDONLY), b"", at(), b"new", 0x1000))
attempt("rename inside", lambda: os.rename(file, file + ".x"))
attempt("rename out", lambda: os.rename(file, home + "/new"))
attempt("rename in", lambda: os.rename(own, file))
attempt("exchange", lambda: call("renameat2", -100, own.encode(), -100, file.encode(), 2))
attempt("whiteout", lambda: call("renameat2", -100, file.encode(), -100, (file + ".x").encode(), 4))
attempt("rename the view", lambda: os.rename(VIEW, VIEW + ".x"))
attempt("chmod", lambda: os.chmod(file, 0o777))
attempt("fchmod", lambda: os.fchmod(rdonly(), 0o777))
attempt("fchmodat", lambda: call("fchmodat", at(), base, 0o777, 0))
attempt("chmod a directory", lambda: os.chmod(folder, 0o777))
attempt("chown", lambda: os.chown(file, os.getuid(), os.getgid()))
attempt("fchown", lambda: os.fchown(rdonly(), os.getuid(), os.getgid()))
attempt("fchownat", lambda: call("fchownat", at(), base, os.getuid(), os.getgid(), 0))
attempt("utime", lambda: os.utime(file))
attempt("futimens", lambda: os.utime(rdonly()))
attempt("utimensat", lambda: call("utimensat", at(), base, struct.pack("4q", 1, 0, 1, 0), 0))
attempt("utime of a directory", lambda: os.utime(folder))
attempt("setxattr", lambda: os.setxattr(file, "user.x", b"y"))
attempt("setxattr overlay", lambda: os.setxattr(file, "trusted.overlay.opaque", b"y"))
attempt("fsetxattr", lambda: os.setxattr(rdonly(), "user.x", b"y"))
attempt("removexattr", lambda: os.removexattr(file, "user.x"))
attempt("flags of the inode", lambda: fcntl.ioctl(rdonly(), 0x40086602, struct.pack("L", 0x10)))
attempt("clone a file's bytes", lambda: fcntl.ioctl(rdonly(), 0x40049409, os.open(own, os.O_RDONLY)))
for path in ("/archive", "/archive/.pdshub", VIEW, folder):
    attempt(f"create in {path}", lambda: os.open(path + "/new", os.O_CREAT | os.O_WRONLY))
    attempt(f"mkdir in {path}", lambda: os.mkdir(path + "/newer"))
for path in ("view.json", "health.json"):
    attempt(f"write {path}", lambda: os.open("/archive/.pdshub/" + path, os.O_WRONLY))
    attempt(f"replace {path}", lambda: os.rename(own, "/archive/.pdshub/" + path))
    attempt(f"unlink {path}", lambda: os.unlink("/archive/.pdshub/" + path))
shutil.rmtree(home, ignore_errors=True)
print(json.dumps(tried))
"""
ACCOUNT = r"""
import hashlib, json, os
seen = []
for top, folders, names in os.walk("/archive"):
    folders.sort()
    for name in sorted(names):
        path = os.path.join(top, name)
        st = os.lstat(path)
        seen.append([path, st.st_size, st.st_mtime_ns, st.st_mode, st.st_uid])
seen = [item for item in seen if not item[0].startswith("/archive/.pdshub/")]
print(json.dumps([len(seen), hashlib.sha256(json.dumps(seen).encode()).hexdigest(),
                  hashlib.sha256(open(FILE, "rb").read()).hexdigest()]))
"""
