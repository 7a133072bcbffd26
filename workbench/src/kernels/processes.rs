//! Runs one program of a build with everything that it starts, line by line, so that all of it can be ended at once.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, PipeReader, pipe};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::error::KernelError;

/// How much of what a program said is told when it fails.
const LAST_LINES: usize = 20;

/// Runs `command` to its end and hands each line of its output (both streams) to `on_line`. Dropping the future kills
/// the program with its descendants and returns when they are gone.
pub(super) async fn run(
    what: &'static str,
    command: Command,
    mut on_line: impl FnMut(&str),
) -> Result<(), KernelError> {
    let shown = shown(&command);
    let failed = |status: String, said: VecDeque<String>| KernelError::Failed {
        what,
        command: shown.clone(),
        status,
        said: said.into(),
    };
    let (mut group, mut lines) = Group::start(command).map_err(|e| failed(format!("no start: {e}"), [].into()))?;
    let mut last = VecDeque::new();
    while let Some(line) = lines.recv().await {
        on_line(&line);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    match group.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string(), last)),
        Err(e) => Err(failed(format!("an unknown status: {e}"), last)),
    }
}

/// Everything that `command` prints on both streams.
pub(super) async fn output(what: &'static str, command: Command) -> Result<String, KernelError> {
    let mut text = String::new();
    run(what, command, |line| {
        text.push_str(line);
        text.push('\n');
    })
    .await?;
    Ok(text)
}

/// A program as the leader of a process group, and the thread that reads what the group prints.
struct Group {
    leader: Child,
    id: Option<Pid>,
    reader: Option<JoinHandle<()>>,
}

impl Group {
    fn start(mut command: Command) -> io::Result<(Self, UnboundedReceiver<String>)> {
        let (reader, writer) = pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let mut command = tokio::process::Command::from(command);
        let leader = command.process_group(0).spawn()?;
        let id = leader.id().map(|id| Pid::from_raw(id as i32));
        let (sender, lines) = unbounded_channel();
        let reader = std::thread::spawn(move || read_lines(reader, &sender));
        Ok((Self { leader, id, reader: Some(reader) }, lines))
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.leader.wait().await;
        // Reaped: its id may be another's now.
        self.id = None;
        status
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _ = killpg(id, Signal::SIGKILL);
        }
        // The pipe ends when the last process that held it has ended: from then on nobody writes into any folder.
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn read_lines(pipe: PipeReader, sender: &UnboundedSender<String>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // Nobody may be listening any more; the pipe is read to its end all the same.
        let _ = sender.send(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
        line.clear();
    }
}

/// The program and its arguments, shortened.
fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy);
    let text = words.collect::<Vec<_>>().join(" ");
    if text.chars().count() > 160 { text.chars().take(159).chain(['…']).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn a_program_that_fails_is_told_with_its_last_lines() {
        let error = block_on(run("a test", shell("seq 100; exit 3"), |_| {})).expect_err("it fails");
        let KernelError::Failed { said, status, .. } = error else { panic!("{error}") };
        assert_eq!((said.len(), said[0].as_str(), said[19].as_str()), (20, "81", "100"));
        assert!(status.contains('3'), "{status}");
    }

    #[test]
    fn what_is_given_up_ends_with_everything_that_it_started() {
        let room = tempfile::tempdir().expect("a temporary folder");
        let fifo = room.path().join("alive");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        // A grandchild holds the FIFO open for writing until it is killed.
        let text = format!("(exec 9>{0}; echo held; exec sleep 1000) & wait", fifo.display());
        block_on(async {
            let reader = std::thread::spawn(move || std::fs::read(fifo));
            let (sender, mut held) = unbounded_channel();
            let never = run("a test", shell(&text), move |_| sender.send(()).expect("a listener"));
            tokio::select! {
                _ = never => panic!("it sleeps for 1000 s"),
                _ = held.recv() => {}
                () = tokio::time::sleep(Duration::from_secs(60)) => panic!("it never began"),
            }
            // The future was dropped; the FIFO's last writer is gone, so reading has ended.
            reader.join().expect("no panic").expect("an empty file");
        });
    }
}
