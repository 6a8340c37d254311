"""Generated files: the gRPC stubs of CSI and of kubelet plugin registration, the CRDs, alerts and dashboards."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from monitoring import write

from . import golang
from .artefact import digest, lock
from .run import run
from .settings import CSI_SPEC, KUBERNETES, ROOT, Paths
from .venv import venv

STUBS = ROOT / "operator" / "pdshub" / "node" / "_proto"
INIT = '''"""gRPC stubs of CSI and of the kubelet's plugin registration, made by hack/generate. Not committed."""
'''


def without_gogo(proto: str) -> str:
    """``proto`` without its gogo import and options, which only matter for Go code."""
    proto = re.sub(r'^import "[^"]*gogo\.proto";\n', "", proto, flags=re.M)
    return re.sub(r"^option \(gogoproto\.[^;]*;\n", "", proto, flags=re.M)


def relative_imports(source: str, modules: tuple[str, ...]) -> str:
    """grpcio-tools writes ``import x_pb2``; inside a package that has to be ``from . import x_pb2``."""
    for module in modules:
        source = re.sub(rf"^import {module}_pb2 as", f"from . import {module}_pb2 as", source, flags=re.M)
    return source


def stubs(paths: Paths, say: Callable[[str], None]) -> None:
    """Write STUBS unless they are of the current inputs already."""
    stamp = digest([CSI_SPEC, KUBERNETES, Path(__file__).read_bytes(), (ROOT / "pyproject.toml").read_bytes()])
    with lock(paths.locks / "generate-stubs"):
        marker = STUBS / ".inputs"
        if marker.exists() and marker.read_text() == stamp:
            say(f"stubs are current: {STUBS.relative_to(ROOT)}")
            return
        environment, _ = venv().ensure(paths)
        csi = golang.module_dir(paths, f"github.com/container-storage-interface/spec@v{CSI_SPEC}")
        kubelet = golang.module_dir(paths, f"k8s.io/kubelet@v0.{KUBERNETES.partition('.')[2]}")
        with tempfile.TemporaryDirectory() as tmp:
            source, out = Path(tmp) / "in", Path(tmp) / "out"
            source.mkdir()
            out.mkdir()
            (source / "csi.proto").write_text((csi / "csi.proto").read_text())
            registration = (kubelet / "pkg/apis/pluginregistration/v1/api.proto").read_text()
            (source / "pluginregistration.proto").write_text(without_gogo(registration))
            names = ("csi", "pluginregistration")
            run(
                [
                    *(environment / "bin" / "python", "-m", "grpc_tools.protoc", f"-I{source}"),
                    *(f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}"),
                    *(source / f"{n}.proto" for n in names),
                ]
            )
            for file in out.iterdir():
                file.write_text(relative_imports(file.read_text(), names))
            (out / "__init__.py").write_text(INIT)
            (out / ".inputs").write_text(stamp)
            shutil.rmtree(STUBS, ignore_errors=True)
            shutil.copytree(out, STUBS)
        say(f"wrote {STUBS.relative_to(ROOT)}")


def crds(paths: Paths, say: Callable[[str], None]) -> None:
    """Write crds/ from the resource models."""
    if not (ROOT / "operator/pdshub/api/crd.py").exists():
        say("crds: skipped, operator/pdshub/api/crd.py is not there yet")
        return
    environment, _ = venv().ensure(paths)
    run([environment / "bin" / "python", "-m", "pdshub.api.crd", "crds/"], cwd=ROOT)
    say("wrote crds/")


def monitoring(say: Callable[[str], None]) -> None:
    """Write alerts and dashboards from their tables."""
    write.write(ROOT)
    say("wrote alerts and dashboards")
