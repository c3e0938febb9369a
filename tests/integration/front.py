"""What stands between agavectl and a node of the lab's world: a reverse proxy (Front), a forward proxy (Proxy), and the
certificates of both. Threads and plain sockets; each connection carries one request.

    f = front.Front(t, w.host(3), host="::1", tls=front.Pki(t).context("good"))
    t.run("snapshot", "find", "--rpc", f.url, "--ca-file", pki.ca)
    f.asked, f.connections     # request lines that came, and in how many connections
"""
import base64
import json
import re
import socket
import ssl
import subprocess
import threading
from datetime import datetime, timedelta, timezone

PIECE = 1 << 18


def read_head(conn):
    """Request line and headers up to the empty line, and what came behind it; None: it was closed."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = conn.recv(65536)
        if not part or len(got) > 1 << 18:
            return None
        got += part
    head, rest = got.split(b"\r\n\r\n", 1)
    return head, rest


def relay(a, b):
    """One way, to the end."""
    try:
        while part := a.recv(PIECE):
            b.sendall(part)
    except OSError:
        pass
    for s, how in ((b, socket.SHUT_WR), (a, socket.SHUT_RD)):
        try:
            s.shutdown(how)
        except OSError:
            pass


def both_ways(a, b):
    back = threading.Thread(target=relay, args=(b, a), daemon=True)
    back.start()
    relay(a, b)
    back.join()


def connect(hostport):
    host, port = hostport.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=30)


def reply(conn, status, body=b"", head_only=False, **headers):
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close",
             *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    conn.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head_only else body))


class Server:
    def __init__(self, t, host="127.0.0.1", port=0, tls=None):
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.host, self.tls, self.asked, self.connections, self.open = host, tls, [], 0, set()
        self.lock = threading.Lock()
        self.listen(port)
        t.later(self.close)

    def listen(self, port):
        self.listener = socket.create_server((self.host, port), family=self.family, backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    @property
    def hostport(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.hostport}"

    def accept(self, listener):
        while True:
            try:
                conn = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        with self.lock:
            self.open.add(conn)
            self.connections += 1
        secure = conn
        try:
            conn.settimeout(60)
            if self.tls:
                secure = self.tls.wrap_socket(conn, server_side=True)
            asked = read_head(secure)
            if asked:
                with self.lock:
                    self.asked.append(asked[0].split(b"\r\n")[0].decode("latin-1"))
                self.handle(secure, *asked)
        except OSError:      # ssl's are of these
            pass
        finally:
            with self.lock:
                self.open.discard(conn)
            secure.close()
            conn.close()

    def cut(self):
        """Ends all connections; nobody listens any more."""
        self.close()
        with self.lock:
            for conn in self.open:
                try:
                    conn.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


class Front(Server):
    """A node at another address. nodes: the "host:port" that it lists, instead of what the node behind it does, each with
    an id of the world. answer(method, path, head) may give (status, headers) or (status, headers, body) instead of the
    node's answer."""

    def __init__(self, t, behind, nodes=None, answer=None, **server):
        self.behind, self.nodes, self.answer = behind, nodes, answer
        super().__init__(t, **server)

    def list_of(self, request_id):
        with connect(self.behind) as up:
            body = b'{"jsonrpc":"2.0","id":1,"method":"getClusterNodes"}'
            up.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                       % len(body) + body)
            got = b""
            while part := up.recv(PIECE):
                got += part
        like = [n for n in json.loads(got.split(b"\r\n\r\n", 1)[1])["result"] if n["rpc"]]
        nodes = [{**n, "rpc": rpc, "pubsub": None} for n, rpc in zip(like, self.nodes)]
        assert len(nodes) == len(self.nodes), "the world is too small"
        return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": nodes}).encode()

    def handle(self, conn, head, rest):
        method, path = head.decode("latin-1").split(" ", 2)[:2]
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        while length and len(rest) < int(length[1]):
            rest += conn.recv(65536)
        if self.nodes is not None and b"getClusterNodes" in rest:
            return reply(conn, 200, self.list_of(json.loads(rest)["id"]), Content_Type="application/json")
        said = self.answer and self.answer(method, path, head)
        if said:
            return reply(conn, said[0], b"" if len(said) < 3 else said[2], head_only=method == "HEAD", **said[1])
        with connect(self.behind) as up:
            up.sendall(re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + b"\r\nConnection: close\r\n\r\n" + rest)
            relay(up, conn)


class Proxy(Server):
    """Passes plain HTTP on, and tunnels. password: "user:password" that it wants. status: what it answers instead; a function
    of the request line may choose (None: none)."""

    def __init__(self, t, password=None, status=None, **server):
        self.password, self.status = password, status
        super().__init__(t, **server)

    @property
    def passed(self):
        return len(self.asked)

    def handle(self, conn, head, rest):
        line = head.split(b"\r\n")[0].decode("latin-1")
        method, target = line.split(" ")[:2]
        want = self.password and b"Basic " + base64.b64encode(self.password.encode())
        status = self.status(line) if callable(self.status) else self.status
        if want and want not in head:
            status = 407
        if status:
            return reply(conn, status, Proxy_Authenticate='Basic realm="x"')
        hostport = target if method == "CONNECT" else re.match(r"http://([^/]+)", target)[1]
        try:
            up = connect(hostport)
        except OSError:
            return reply(conn, 502)
        with up:
            if method == "CONNECT":
                conn.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
                return both_ways(conn, up)
            head = re.sub(rb"(?i)\r\n(proxy-)?connection:[^\r]*", b"", head).replace(b"http://" + hostport.encode(), b"", 1)
            up.sendall(head + b"\r\nConnection: close\r\n\r\n" + rest)
            both_ways(conn, up)


class Socks(Server):
    """SOCKS 5 without a password, by name or address; names are kept in asked."""

    def serve(self, conn):
        def take(n):
            got = b""
            while len(got) < n:
                part = conn.recv(n - len(got))
                if not part:
                    raise OSError("closed")
                got += part
            return got
        try:
            conn.settimeout(60)
            take(take(2)[1])
            conn.sendall(b"\5\0")
            kind = take(4)[3]
            host = take(take(1)[0]).decode() if kind == 3 else socket.inet_ntop(
                socket.AF_INET if kind == 1 else socket.AF_INET6, take(4 if kind == 1 else 16))
            port = int.from_bytes(take(2), "big")
            with self.lock:
                self.asked.append(f"{host}:{port}")
            with socket.create_connection((host, port), timeout=30) as up:
                conn.sendall(b"\5\0\0\1\0\0\0\0\0\0")
                both_ways(conn, up)
        except OSError:
            pass
        finally:
            conn.close()


class Pki:
    """An authority of the test's own and what it has signed, made by openssl. kinds: good (127.0.0.1, localhost, ::1), expired,
    wrong (another name), self (signed by nobody but itself)."""

    def __init__(self, t):
        self.t, self.dir = t, t.dir / "pki"
        self.dir.mkdir()
        self.ca = self.dir / "ca.pem"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test ca",
                     "-keyout", self.dir / "ca.key", "-out", self.ca)
        (self.dir / "index").write_text("")
        (self.dir / "conf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.dir}/index\nnew_certs_dir={self.dir}\nrand_serial=yes\n"
                                       "default_md=sha256\npolicy=p\nunique_subject=no\ncopy_extensions=copy\n[p]\ncommonName=supplied\n")

    def openssl(self, *argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)

    def context(self, kind):
        key, request, cert = (self.dir / f"{kind}.{x}" for x in ("key", "csr", "pem"))
        names = "subjectAltName=DNS:other.test" if kind == "wrong" else "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost"
        new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=node", "-addext", names, "-keyout", key)
        if kind == "self":
            self.openssl(*new, "-x509", "-days", "2", "-out", cert)
        else:
            end = datetime.now(timezone.utc) + timedelta(days=-1 if kind == "expired" else 2)
            self.openssl(*new, "-out", request)
            self.openssl("ca", "-batch", "-config", self.dir / "conf", "-cert", self.ca, "-keyfile", self.dir / "ca.key", "-in", request, "-out", cert,
                         "-notext", "-startdate", f"{end - timedelta(days=9):%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context
