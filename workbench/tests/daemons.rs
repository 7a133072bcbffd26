//! Daemons, started for real on both engines: those that work, and what is said of those that do not.

use std::process::Command;

use libtest_mimic::{Completion, Failed, Trial};

use crate::support::{no_labs, scenario, scratch, texts, virtual_engine, workbench};

/// A server's daemons, what a client runs, and what the workbench has to say.
struct Case {
    name: &'static str,
    server: &'static str,
    run: &'static str,
    /// 0: it passes; 2: the scenario is wrong; 3: it could not be tried.
    code: i32,
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "rsyncd_gives_a_made_up_file",
        server: r#"daemon rsyncd "rsync --daemon --no-detach --config=rsyncd.conf" {
            file "rsyncd.conf" text="use chroot = no\n[files]\npath = /run/rsyncd/files\n"
            file "files/some" size="100KiB"
            ready port=873
        }"#,
        run: r#"run it in=client "rsync rsync://server/files/some ." { expect exit=0; }"#,
        code: 0,
        says: &["server:873", "exit 0"],
    },
    Case {
        name: "nginx_gives_a_page",
        server: r#"daemon nginx "nginx -p /run/nginx -c nginx.conf -e error.log" {
            file "nginx.conf" text="daemon off; pid nginx.pid; events {} http { access_log off; client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp; server { listen 80; root html; } }"
            file "html/index.html" text="hello\n"
            ready port=80
        }"#,
        run: r#"run it in=client "curl --silent http://server/" { expect exit=0 stdout="hello\n"; }"#,
        code: 0,
        says: &["hello"],
    },
    Case {
        name: "sshd_with_a_prepared_key_says_who_it_is",
        server: r#"daemon sshd "/usr/sbin/sshd -D -e -f sshd_config" {
            prepare "ssh-keygen -q -t ed25519 -N '' -f key"
            file "sshd_config" text="HostKey /run/sshd/key\nUsePAM no\nPidFile none\n"
            ready port=22
        }"#,
        run: r#"run it in=client "ssh-keyscan -t ed25519 server" { expect exit=0; }"#,
        code: 0,
        says: &["server ssh-ed25519"],
    },
    Case {
        name: "a_file_may_be_what_shows_that_one_is_ready",
        server: r#"daemon writer "sh" "-c" "echo there > done; exec sleep 1000" { ready file="done"; }"#,
        run: r#"run it in=client "true" { expect exit=0; }"#,
        code: 0,
        says: &["exit 0"],
    },
    Case {
        name: "one_that_fails_is_quoted",
        server: r#"daemon failing "sh" "-c" "echo no such luck >&2; exit 3" { ready port=80; }"#,
        run: r#"run it in=client "true""#,
        code: 2,
        says: &["daemon failing in server exited with 3 before its time", "no such luck"],
    },
    Case {
        name: "one_that_is_never_ready_is_told_with_its_deadline",
        server: r#"daemon idle "sleep 1000" { ready port=80 within="1s"; }"#,
        run: r#"run it in=client "true""#,
        code: 3,
        says: &["daemon idle in server is not ready within 1 s", "port 80 listens", "`within=`"],
    },
    Case {
        name: "one_that_is_not_installed_skips_the_run",
        server: r#"daemon absent "no-such-server --foreground" { ready port=80; }"#,
        run: r#"run it in=client "true""#,
        code: 3,
        says: &["skipped", "no-such-server"],
    },
];

pub fn trials() -> Vec<Trial> {
    CASES.iter().flat_map(|case| [on_the_host(case), in_virtual_time(case)]).collect()
}

fn on_the_host(case: &'static Case) -> Trial {
    Trial::ignorable_test(format!("daemons::{}::on_the_host", case.name), move || match no_labs() {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => {
            let mut command = workbench();
            command.arg("run");
            holds(command, case)
        }
    })
}

fn in_virtual_time(case: &'static Case) -> Trial {
    let name = format!("daemons::{}::in_virtual_time", case.name);
    Trial::ignorable_test(name, move || match virtual_engine::virtual_engine() {
        Err(why) => Ok(Completion::ignored_with(why)),
        Ok(command) => holds(command, case),
    })
}

fn holds(mut command: Command, case: &Case) -> Result<Completion, Failed> {
    let folder = scratch();
    let text =
        format!("namespace client\nnamespace server {{\n{}\n}}\nlink client server\n{}\n", case.server, case.run);
    let file = scenario(folder.path(), "daemon.kdl", &text);
    let output = command.arg("--no-snapshot").arg(&file).output()?;
    let (out, err) = texts(&output);
    let all = format!("{out}{err}");
    // What is not installed here cannot be tried.
    if case.code == 0 && all.contains("skipped") {
        return Ok(Completion::ignored_with("a program is not installed"));
    }
    let is_said = case.says.iter().all(|part| all.contains(part));
    if output.status.code() == Some(case.code) && is_said {
        Ok(Completion::Completed)
    } else {
        Err(format!("expected code {} and {:?}, found {:?}\n{all}", case.code, case.says, output.status).into())
    }
}
