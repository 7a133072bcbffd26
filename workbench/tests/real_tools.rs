//! What real tools are ended by: party, mechanism and time of their own timeouts, none recognised by its name. The small
//! programs that arm one mechanism each are in `catalogue/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use crate::catalogue::run::{Engine, Outcome};
use crate::catalogue::{Armed, Entry, Proof};
use crate::support::root;
use crate::traced::is_installed;

/// All TCP is dropped.
const SILENT: &str = "namespace client\nnamespace server {\n drop tcp\n}\nlink client server";

/// What every tool is told, seconds.
const TOLD: Armed = Armed::For(2.0);

const MANY: &str = "deadline kept by many waits";

/// Names the address that this binary connects to, as a tokio program and nothing else.
const TOKIO: &str = "WORKBENCH_TEST_TOKIO";

/// A tool that is told to wait 2 s.
const fn tool(name: &'static str, command: &'static str, mechanism: &'static str, proof: &'static [Proof]) -> Entry {
    Entry::new(name, SILENT, command).ends(1.99, 2.3).by("tool", mechanism).armed(TOLD).seen(proof)
}

const TOOLS: &[Entry] = &[
    tool("curl_connect_timeout", "curl -sS --connect-timeout 2 http://10.9.0.2/", MANY, TIMED_OUT)
        .armed(Armed::About(2.0))
        .who("curl"),
    tool(
        "curl_max_time_in_the_body",
        "mechanisms with-peer half-http curl -sS --max-time 2 http://127.0.0.1:7000/",
        MANY,
        &[Proof::Output("0 out of 10 bytes received")],
    )
    .armed(Armed::About(2.0))
    .who("curl"),
    tool("timeout_curl", "timeout 2 curl -sS http://10.9.0.2/", "timer_create", &[Proof::Signal("SIGTERM")])
        .who("timeout"),
    tool(
        "wget_connect_timeout",
        "wget --connect-timeout=2 -t 1 -O /dev/null http://10.9.0.2/",
        "setitimer",
        &[Proof::Signal("SIGALRM")],
    )
    .who("wget"),
    tool(
        "wget_read_timeout",
        "mechanisms with-peer silent wget --read-timeout=2 -t 1 -O /dev/null http://127.0.0.1:7000/",
        "pselect6",
        &[Proof::Call("pselect6", "= 0")],
    )
    .who("wget"),
    tool("nc_openbsd_connect", "nc.openbsd -w 2 10.9.0.2 80", "pselect6", &[Proof::Call("pselect6", "= 0")]),
    tool("nc_openbsd_idle", "mechanisms with-peer silent nc.openbsd -w 2 127.0.0.1 7000", "poll", POLL)
        .run("{ stdin silent; }"),
    tool("nc_traditional_connect", "nc.traditional -w 2 10.9.0.2 80", "alarm", &[Proof::Signal("SIGALRM")]),
    // It gives its partner two rounds of 2 s.
    tool(
        "nc_traditional_idle",
        "mechanisms with-peer silent nc.traditional -w 2 127.0.0.1 7000",
        MANY,
        &[Proof::Call("pselect6", "= 0")],
    )
    .ends(3.99, 4.4)
    .armed(Armed::About(4.0)),
    tool("mysql_connect_timeout", "mysql --connect-timeout=2 -h 10.9.0.2", "poll", POLL),
    tool(
        "mysql_connect_timeout_without_a_greeting",
        "mechanisms with-peer silent mysql --connect-timeout=2 --protocol=tcp -h 127.0.0.1 -P 7000",
        "poll",
        POLL,
    ),
    tool(
        "rsync_contimeout",
        "rsync --contimeout=2 rsync://10.9.0.2/x/ /tmp/",
        "alarm",
        &[Proof::Signal("SIGALRM"), Proof::Output("timeout waiting for daemon connection")],
    ),
    // Told 2 s; it looks at its clock once a second, and at 2 s it is not yet more than that.
    tool(
        "rsync_timeout",
        "mechanisms with-peer rsyncd rsync --timeout=2 rsync://127.0.0.1:7000/x/ /tmp/",
        MANY,
        &[Proof::Output("io timeout after 2 seconds")],
    )
    .ends(1.99, 3.3)
    .armed(Armed::Within(1.99, 3.1)),
    tool("ssh_connect_timeout", "ssh -o ConnectTimeout=2 10.9.0.2", "poll", POLL),
    tool(
        "ssh_connect_timeout_without_a_banner",
        "mechanisms with-peer silent ssh -o ConnectTimeout=2 -p 7000 127.0.0.1",
        "poll",
        &[Proof::Output("timed out during banner exchange")],
    ),
    tool("python_settimeout_connect", "python3 programs/socket_timeout.py connect 10.9.0.2 80", "poll", POLL),
    tool(
        "python_settimeout_recv",
        "mechanisms with-peer silent python3 programs/socket_timeout.py recv 127.0.0.1 7000",
        "poll",
        POLL,
    ),
    // Go and tokio round what is left to milliseconds.
    tool("go_dialer", "go:dialer.go 10.9.0.2:80", "epoll_pwait", &[Proof::Output("i/o timeout")])
        // Its monitor sleeps in a futex until the same timer is due, and now and then is first.
        .or("futex")
        .armed(Armed::About(2.0)),
    tool("tokio_timeout", "tokio", "epoll_wait", &[Proof::Output("deadline has elapsed")])
        .run("{ env WORKBENCH_TEST_TOKIO \"10.9.0.2:80\"; }")
        .armed(Armed::About(2.0)),
    // Whoever it is called, it is the same program.
    tool("curl_by_another_name", "copy:curl -sS --connect-timeout 2 http://10.9.0.2/", MANY, TIMED_OUT)
        .armed(Armed::About(2.0))
        .who("x"),
];

const POLL: &[Proof] = &[Proof::Call("poll", "= 0")];
const TIMED_OUT: &[Proof] = &[Proof::Output("Failed to connect")];

pub fn trials() -> Vec<Trial> {
    let trial = |entry: &'static Entry, prefix: &str, on: Engine| {
        Trial::ignorable_test(format!("real_tool_{prefix}_{}", entry.name), move || entry.holds(&carry_out(entry, on)?))
    };
    let both = |entry| [trial(entry, "virtual", Engine::Virtual), trial(entry, "host", Engine::Host)];
    TOOLS.iter().flat_map(both).collect()
}

fn carry_out(entry: &Entry, on: Engine) -> Result<Outcome, Failed> {
    if let Some(why) = missing(entry.command)? {
        return Ok(Outcome::Skipped(why));
    }
    entry.carry_out_with(on, program)
}

/// What a command needs and is not here.
fn missing(command: &str) -> Result<Option<String>, Failed> {
    let installed = ["curl", "wget", "nc.openbsd", "nc.traditional", "mysql", "rsync", "ssh", "python3", "timeout"];
    let mut words = command.split_whitespace();
    let absent = words.find(|word| installed.contains(word) && !is_installed(word));
    match (absent, command.starts_with("go:")) {
        (Some(word), _) => Ok(Some(format!("needs {word}"))),
        (None, true) => Ok(go_program()?.is_none().then(|| "needs go".to_owned())),
        (None, false) => Ok(None),
    }
}

/// The file that a word of a command stands for.
fn program(word: &str) -> Option<String> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    match word.split_once([':', '/']) {
        None if word == "tokio" => std::env::current_exe().ok().map(text),
        Some(("programs", file)) => Some(text(root().join("workbench/tests/programs").join(file))),
        Some(("go", _)) => go_program().ok().flatten(),
        Some(("copy", tool)) => copied(tool).map(text),
        _ => None,
    }
}

/// The Go program, built once; `None` without a compiler.
fn go_program() -> Result<Option<String>, Failed> {
    static PROGRAM: OnceLock<Result<Option<String>, String>> = OnceLock::new();
    let build = || {
        let below = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (program, source) = (below.join("dialer"), root().join("workbench/tests/programs/dialer.go"));
        let mut go = Command::new("go");
        // Without cgo it needs no C compiler, and asks no C library for names.
        go.args(["build", "-o"]).arg(&program).arg(source).env("CGO_ENABLED", "0");
        go.env("GOCACHE", below.join("go-cache")).env("GO111MODULE", "off");
        match go.output() {
            Err(_) => Ok(None),
            Ok(output) if output.status.success() => Ok(Some(program.to_string_lossy().into_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    };
    Ok(PROGRAM.get_or_init(build).clone()?)
}

/// A copy of a tool by the name `x`.
fn copied(tool: &str) -> Option<PathBuf> {
    static COPY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let copy = || {
        let path = ["/usr/local/bin", "/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("copies");
        std::fs::create_dir_all(&folder).ok()?;
        let copy = folder.join("x");
        std::fs::copy(path.iter().find(|file| file.is_file())?, &copy).ok()?;
        Some(copy)
    };
    COPY.get_or_init(copy).clone()
}

/// If this process is to be the tokio program, is it, and exits.
pub fn connect_with_tokio() {
    let Ok(address) = std::env::var(TOKIO) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let address: SocketAddr = address.parse().expect("an address");
    let connect = async { tokio::time::timeout(Duration::from_secs(2), tokio::net::TcpStream::connect(address)).await };
    let code = match runtime.block_on(connect) {
        Err(elapsed) => {
            eprintln!("{elapsed}");
            1
        }
        Ok(_) => 0,
    };
    std::process::exit(code);
}
