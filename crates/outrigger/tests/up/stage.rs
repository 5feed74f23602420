//! A folder with an environment, and the real binary on it.

use api::{Client, Event, Instance, Query};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that anything here is waited for; a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app: `/name` says who answers, `/env` what it was given, `/call/VARIABLE/PATH` calls another, and `/hold/FILE`
/// is answered once there is such a file.
pub(crate) const SERVER: &str = r#"
import http.server, os, time, urllib.request

class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/call/"):
            _, _, variable, path = self.path.split("/", 3)
            body = urllib.request.urlopen(os.environ[variable] + "/" + path).read()
        elif self.path.startswith("/hold/"):
            print("holding", flush=True)
            while not os.path.exists(self.path[5:]):
                time.sleep(0.01)
            body = b"held"
        elif self.path == "/env":
            body = "".join(f"{k}={v}\n" for k, v in os.environ.items()).encode()
        else:
            body = (os.environ["OUTRIGGER_INSTANCE"] + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App)
print(os.environ["OUTRIGGER_INSTANCE"], "listens", flush=True)
server.serve_forever()
"#;

/// The manifest of a service that runs [`SERVER`], with `more` after it.
pub(crate) fn server(_name: &str, more: &str) -> String {
    format!(
        "[run]\ncommand = [\"python3\", \"serve.py\"]\n[probes.startup]\npath = \"/name\"\nperiod = \"20ms\"\n{more}"
    )
}

/// A folder with an environment.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    /// An environment of this manifest, whose name is added.
    pub(crate) fn new(manifest: &str) -> Stage {
        let stage = Stage { folder: tempfile::tempdir().unwrap() };
        stage.file("environment.toml", &format!("name = \"stage\"\n{manifest}"));
        stage
    }

    /// A path in the folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// A file in the folder.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A service of this manifest, whose name is added, with the server beside it.
    pub(crate) fn service(&self, name: &str, manifest: &str) {
        self.file(&format!("{name}/service.toml"), &format!("name = \"{name}\"\n{manifest}"));
        self.file(&format!("{name}/serve.py"), SERVER);
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.arg("up").arg(self.folder.path()).arg("--state-dir").arg(self.path("state"));
        // Ports that nobody has: tests run beside each other.
        if !more.contains(&"--api") {
            command.args(["--api", "127.0.0.1:0"]);
        }
        command.args(["--edge", "127.0.0.1:0"]).args(more).stdin(Stdio::null());
        command
    }

    /// Runs `up` with these arguments to its end.
    pub(crate) fn run(&self, more: &[&str]) -> (i32, String, String) {
        finish(self.start(more))
    }

    /// Starts `up` with these arguments.
    pub(crate) fn start(&self, more: &[&str]) -> Child {
        self.command(more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs `up` until it is ready, and leaves it running.
    pub(crate) fn up(&self, more: &[&str]) -> Up {
        let mut command = self.command(more);
        let log = fs::File::create(self.path("up.err")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let said = fs::read_to_string(self.path("up.err")).unwrap();
        let edge = ready.strip_prefix("ready: http://").unwrap_or_else(|| panic!("{ready:?}: {said}"));
        let edge = edge.trim_end().trim_end_matches('/').to_owned();
        let run = fs::read_to_string(self.path("state/run")).unwrap();
        let mut lines = run.lines().skip(1).map(str::to_owned);
        let (run, api) = (lines.next().unwrap(), lines.next().unwrap());
        let client = Client::new(api.parse().unwrap());
        Up { child: Some(child), client, api, edge, run, events: self.path("state/events.jsonl") }
    }

    /// Processes that run in the folder, or on it.
    fn processes(&self) -> Vec<PathBuf> {
        let folder = self.folder.path();
        let name = folder.to_str().unwrap().as_bytes();
        let ours = |process: &PathBuf| {
            let runs_in = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
            let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
            runs_in || arguments.windows(name.len()).any(|window| window == name)
        };
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        entries.map(|entry| entry.path()).filter(ours).collect()
    }

    /// The process of the app of `instance`.
    pub(crate) fn process_of(&self, instance: &str) -> Option<u32> {
        let mark = format!("OUTRIGGER_INSTANCE={instance}");
        let is_app = |process: &&PathBuf| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            environment.split(|b| *b == 0).any(|pair| pair == mark.as_bytes())
        };
        self.processes().iter().find(is_app)?.file_name()?.to_str()?.parse().ok()
    }

    /// The process of the guard.
    pub(crate) fn guard(&self) -> Option<u32> {
        let is_guard = |process: &&PathBuf| {
            let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
            arguments.split(|b| *b == 0).nth(1) == Some(b"guard")
        };
        self.processes().iter().find(is_guard)?.file_name()?.to_str()?.parse().ok()
    }

    /// The names of the files in the state folder, in order.
    pub(crate) fn kept(&self) -> Vec<String> {
        let folders = ["", "known", "logs", "snapshots"].map(|folder| self.path("state").join(folder));
        let entries = folders.into_iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Whether no process of the last run lives and its files are gone.
    pub(crate) fn nothing_is_left(&self) -> bool {
        let snapshots = fs::read_dir(self.path("state/snapshots")).unwrap().count();
        snapshots == 0 && !self.path("state/run").exists() && self.processes().is_empty()
    }
}

/// A running environment.
pub(crate) struct Up {
    child: Option<Child>,
    pub(crate) client: Client,
    pub(crate) api: String,
    pub(crate) edge: String,
    run: String,
    events: PathBuf,
}

impl Up {
    /// The mark of its processes.
    pub(crate) fn run_mark(&self) -> String {
        self.run.clone()
    }

    /// The instance `name`.
    pub(crate) fn instance(&self, name: &str) -> Instance {
        self.client.instances().unwrap().instances.into_iter().find(|i| i.name == name).unwrap()
    }

    /// Waits for the first event of this kind and instance (none: empty) after the environment was ready.
    pub(crate) fn event(&self, kind: &str, instance: &str) -> Event {
        let all = self.client.events(Query::after(0, Duration::ZERO)).unwrap().events;
        let ready = all.iter().find(|e| e.kind == "environment-ready").unwrap().seq;
        self.event_after(kind, instance, ready)
    }

    /// Waits for the first such event after number `after`.
    pub(crate) fn event_after(&self, kind: &str, instance: &str, after: u64) -> Event {
        let deadline = Instant::now() + PATIENCE;
        let (mut next, mut seen) = (after, Vec::new());
        while Instant::now() < deadline {
            let answer = self.client.events(Query::after(next, Duration::from_secs(5))).unwrap();
            next = answer.next;
            let fits = |e: &&Event| e.kind == kind && e.instance.as_deref().unwrap_or("") == instance;
            if let Some(event) = answer.events.iter().find(fits) {
                return event.clone();
            }
            seen.extend(answer.events);
        }
        panic!("no {kind} of {instance} among {seen:?}");
    }

    /// Waits until `name` has written a line that begins so.
    pub(crate) fn line(&self, name: &str, begin: &str) {
        let (deadline, mut next) = (Instant::now() + PATIENCE, 0);
        while Instant::now() < deadline {
            let answer = self.client.logs(name, Query::after(next, Duration::from_secs(5))).unwrap();
            next = answer.next;
            if answer.lines.iter().any(|line| line.text.starts_with(begin)) {
                return;
            }
        }
        panic!("{name} does not write {begin}");
    }

    /// Sends `up` a signal.
    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, self.child.as_ref().unwrap().id());
    }

    /// Waits for the end of `up`: its status and all events of its runs.
    pub(crate) fn ended(mut self) -> (i32, Vec<Event>) {
        let status = wait(self.child.take().unwrap());
        let text = fs::read_to_string(&self.events).unwrap();
        (status, text.lines().map(|line| api::decode(line).unwrap()).collect())
    }

    /// Stops `up` in order.
    pub(crate) fn stop(self) {
        self.signal("-TERM");
        assert_eq!(self.ended().0, 0);
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // A test that failed leaves nothing either.
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for the end of a program: its status, or -1 if a signal ended it.
pub(crate) fn wait(mut child: Child) -> i32 {
    let (done, ended) = std::sync::mpsc::channel();
    let pid = child.id();
    std::thread::spawn(move || done.send(child.wait().unwrap().code().unwrap_or(-1)));
    ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        kill("-KILL", pid);
        panic!("it does not end");
    })
}

/// Waits for the end of a program: its status and what it wrote.
pub(crate) fn finish(mut child: Child) -> (i32, String, String) {
    let read = |mut pipe: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        })
    };
    let out = read(Box::new(child.stdout.take().unwrap()));
    let err = read(Box::new(child.stderr.take().unwrap()));
    let status = wait(child);
    (status, out.join().unwrap(), err.join().unwrap())
}

/// Runs a program to its end.
pub(crate) fn command(program: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

/// Runs the binary to its end.
pub(crate) fn outrigger(arguments: &[&str]) -> (i32, String, String) {
    command(env!("CARGO_BIN_EXE_outrigger"), arguments)
}

/// Waits until there is such a file.
pub(crate) fn await_file(path: &std::path::Path) {
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} does not appear", path.display());
        std::thread::yield_now();
    }
}

/// Sends a signal to one process.
pub(crate) fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// Asks for `path` at `address`: status and body.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: stage\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// How many living processes bear the mark of this run.
pub(crate) fn marked(run: &str) -> usize {
    let text = format!("\0OUTRIGGER_RUN={run}\0");
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let own = std::process::id().to_string();
    let environments = entries.filter(|e| e.file_name() != *own).filter_map(|entry| {
        let mut environment = vec![0];
        environment.extend(fs::read(entry.path().join("environ")).ok()?);
        environment.push(0);
        Some(environment)
    });
    environments.filter(|e| e.windows(text.len()).any(|window| window == text.as_bytes())).count()
}
