//! Exports of a run: the trace for Perfetto, packet comments as tshark shows them, JUnit, and every record as JSON lines.

mod events;
mod junit;
mod packets;
mod trace;
mod trace_format;

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

use crate::support::{scenario, texts, workbench};

/// Packets on their way at the same time, several processes, an ICMP error, a signal, a RST.
const BUSY: &str = "namespace client\nnamespace server\nlink client server delay=\"50ms\"\nrun it in=client \"bash\" \"-c\" \
    \"for i in 1 2 3 4; do echo x > /dev/udp/server/9; done; curl -s http://server/; kill -USR1 $$; exit 3\"\n";

/// Two SYNs that a rule drops.
const DROPPED: &str = "namespace client {\n sysctl \"net.ipv4.tcp_syn_retries\" 1\n \
    sysctl \"net.ipv4.tcp_syn_linear_timeouts\" 0 if-present=#true\n}\nnamespace server {\n drop tcp dport=80\n}\n\
    link client server\nrun it in=client \"curl -s http://server/\"\n";

pub fn trials() -> Vec<Trial> {
    [events::trials(), junit::trials(), packets::trials(), trace::trials()].into_iter().flatten().collect()
}

/// Makes the run of a scenario, keeps it and returns its folder.
fn kept(folder: &Path, text: &str) -> Result<PathBuf, Failed> {
    let (file, dir) = (scenario(folder, "x.kdl", text), folder.join("kept"));
    let output = workbench().args(["run", "--no-snapshot", "--artifacts"]).arg(&dir).arg(&file).output()?;
    let run = dir.join("x/it");
    let (out, err) = texts(&output);
    if run.join("evidence.json").is_file() { Ok(run) } else { Err(format!("nothing was kept: {out}{err}").into()) }
}

/// What `show` prints of a kept run.
fn show(run: &Path, view: &str) -> Result<Vec<u8>, Failed> {
    let output = workbench().arg("show").arg(run).arg(view).output()?;
    if output.status.success() { Ok(output.stdout) } else { Err(texts(&output).1.into()) }
}
