//! What a command finds in a virtual machine: the host's files to read, places of its own to write to, its input.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use libtest_mimic::{Completion, Failed, Trial};
use workbench::kernels;

use crate::support::virtual_engine::{evidence, virtual_engine, virtual_trial};
use crate::support::{scenario, scratch, texts};

pub fn trials() -> Vec<Trial> {
    vec![
        virtual_trial("virtual_a_command_writes_to_its_own_places_and_to_nothing_of_the_host", writes),
        virtual_trial("virtual_a_command_reads_a_file_a_text_or_nothing", reads),
        virtual_trial("virtual_an_ordinary_user_gets_the_same_run_as_root", ordinary_user),
    ]
}

/// nobody's, everywhere.
const ORDINARY_ID: u32 = 65534;

fn output_of(text: &str) -> Result<String, Failed> {
    Ok(String::from_utf8_lossy(&evidence(text, 0)?.output.stdout).into_owned())
}

fn writes() -> Result<Completion, Failed> {
    let outside = scratch();
    let victim = outside.path().join("victim");
    fs::write(&victim, "before")?;
    let text = format!(
        r#"
namespace client
run run in=client sh -c """
    for place in /etc /tmp /run /dev/shm "$HOME"; do echo x >$place/written && echo "$place yes"; done
    test -c /dev/pts/ptmx && echo "/dev/pts yes"
    (echo after >'{0}') 2>/dev/null || echo "host no"
    (rm -f '{0}') 2>/dev/null || echo "removal no"
    """
"#,
        victim.display()
    );
    let said = output_of(&text)?;
    let expected = "/etc yes\n/tmp yes\n/run yes\n/dev/shm yes\n/tmp/home yes\n/dev/pts yes\nhost no\nremoval no\n";
    assert_eq!(said, expected);
    assert_eq!(fs::read_to_string(&victim)?, "before");
    Ok(Completion::Completed)
}

fn reads() -> Result<Completion, Failed> {
    let folder = scratch();
    let file = folder.path().join("input");
    fs::write(&file, "from a file\n".repeat(10_000))?;
    for (stdin, expected) in [
        (format!("stdin file=\"{}\"", file.display()), "120000\n"),
        ("stdin text=\"four\"".to_owned(), "4\n"),
        ("stdin empty".to_owned(), "0\n"),
    ] {
        let said = output_of(&format!("namespace client\nrun run in=client \"wc -c\" {{ {stdin}; }}"))?;
        assert_eq!(said, expected, "{stdin}");
    }
    Ok(Completion::Completed)
}

fn ordinary_user() -> Result<Completion, Failed> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Completion::ignored_with("only root can become somebody else".to_owned()));
    }
    let folder = scratch();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    let kernel = kernels::select(None, kernels::host_hz())?.pop().ok_or("no kernel")?;
    let theirs = folder.path().join("kernels").join(kernel.folder_name());
    fs::create_dir_all(&theirs)?;
    fs::copy(&kernel.image, theirs.join("linux"))?;
    fs::write(theirs.join("kernel.json"), serde_json::to_vec(&kernel.about)?)?;
    let text = "namespace client\nnamespace server { drop tcp dport=80; }\nlink client server\nrun run in=client \"nc -w 2 server 80\"\n";
    let file = scenario(folder.path(), "x.kdl", text);
    let mut packets = Vec::new();
    for id in [0, ORDINARY_ID] {
        let kept = folder.path().join(format!("kept-{id}"));
        let mut command = virtual_engine()?;
        command.args(["--no-snapshot", "--artifacts"]).arg(&kept).arg(&file).uid(id).gid(id);
        command.env("WORKBENCH_CACHE", folder.path()).env_remove("HOME");
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("as {id}: {:?}", texts(&output)).into());
        }
        packets.push(fs::read(kept.join("x/run/packets.pcapng"))?);
    }
    assert!(packets[0] == packets[1], "the packets differ");
    Ok(Completion::Completed)
}
