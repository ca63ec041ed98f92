"""An nginx in front of a server of the tests, as people have one. Knows nothing of the lens."""

from pathlib import Path

from benchmarks.support.ports import HOST, free_port
from benchmarks.support.servers import Server
from scripts import nginx

# All that it writes is beside it; its own folders may not be ours to write to.
_CONFIGURATION = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path temp-body;
    proxy_temp_path temp-proxy;
    fastcgi_temp_path temp-fastcgi;
    uwsgi_temp_path temp-uwsgi;
    scgi_temp_path temp-scgi;
    server {{
        listen {host}:{port};
        location {prefix}/ {{
            # With a slash at its end, what the location says is taken away.
            proxy_pass {target}/;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
        location / {{
            return 404;
        }}
    }}
}}
"""


def stripping(target: Server, *, prefix: str, folder: Path) -> Server:
    """Start an nginx that passes on what lies below a prefix, without the prefix.

    Args:
        target: Where to.
        prefix: Starts with a slash and does not end with one.
        folder: Where it may write.
    """
    program, port = nginx.find(), free_port()
    assert program is not None, nginx.LEFT_OUT
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(host=HOST, port=port, prefix=prefix, target=target.url),
        encoding="utf-8",
    )
    argv = [str(program), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    return Server(argv, port=port, cwd=folder)
