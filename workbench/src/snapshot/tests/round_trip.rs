//! What is printed is what is read back.

use super::fixture::{Connect, MS, Random, after, event, snapshot};
use crate::evidence::Ending;
use crate::snapshot::{Claims, GapRange};
use crate::timeline::{TimerClass, Wait};

#[test]
fn a_snapshot_reads_as_a_story_and_fits_100_columns() {
    let connect = Connect { start_ns: 850_000, sent: vec![(1000, 1_024_100_000)], end: (3000, 3_048_200_000) };
    let text = connect.snapshot().claims.render();
    assert_eq!(
        text,
        r#"client$ curl --connect-timeout 999 http://server/
exit 28 after 3.049 s

   0.000 s  lab               net.ipv4.tcp_syn_retries = 0 refused: EINVAL; net.ipv4.tcp_syn_retries = 1 instead
   0.001 s  client            connect to server:80
   0.001 s  client -> server  SYN, dropped at server by "drop tcp dport=80"
  +1.024 s  RTO of 1 s, timer wheel
   1.025 s  client -> server  SYN, retransmission 1, dropped at server by "drop tcp dport=80"
  +3.048 s  SYN retries of 3 s, timer wheel
   3.049 s  client            connect failed: ETIMEDOUT
   3.049 s  client            exit 28
"#
    );
    let longest = text.lines().skip(4).map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "{longest:?}");
}

#[test]
fn details_of_a_tool_are_not_claimed() {
    let mut events = Connect::on_time(1).events();
    events[1].is_claim = false;
    let claims = snapshot(Ending::Exit(28), events).claims;
    assert!(!claims.render().contains("connect to"), "{}", claims.render());
}

#[test]
fn every_ending_is_read_back() {
    for how in [
        Ending::Exit(0),
        Ending::Exit(-1),
        Ending::Signal("SIGALRM".to_owned()),
        Ending::Deadline,
        Ending::ExecFailed("ENOENT".to_owned()),
    ] {
        let claims = snapshot(how, Vec::new()).claims;
        assert_eq!(Claims::parse(&claims.render()), Ok(claims));
    }
}

/// Words that look like other parts of the text, that break lines, and that are wide, empty or long.
const WORDS: [&str; 18] = [
    "client",
    "->",
    "  ",
    "+1.000 s",
    "1.000 s",
    " of ",
    ", timer wheel",
    "no timer",
    "\n",
    "\u{1b}[2J",
    "---",
    "é∂",
    "\t",
    "$ ",
    " after ",
    "\u{202e}",
    "exit 0",
    "\r",
];

fn words(random: &mut Random) -> String {
    (0..random.below(6)).map(|_| WORDS[usize::try_from(random.below(18)).unwrap()]).collect()
}

#[test]
fn any_claims_are_read_back_exactly() {
    let mut random = Random(1);
    for round in 0..5000 {
        let mut events = Vec::new();
        for _ in 0..random.below(8) {
            let t_ns = random.between(-2_000_000_000, 100_000_000_000_000);
            let (at, text, name) = (words(&mut random), words(&mut random), words(&mut random));
            let gap_ns = random.between(-5, 9_000_000_000_000);
            let mut one = event(t_ns, &at, &text);
            match random.below(6) {
                0 => one.wait = Some(Wait { gap_ns, timer: None }),
                1 => one = after(one, gap_ns, &name, TimerClass::Wheel, random.below(10_000_000)),
                2 => one = after(one, gap_ns, &name, TimerClass::Slack, random.below(10_000)),
                3 => one = after(one, gap_ns, &name, TimerClass::HighResolution, random.below(10)),
                4 => one = after(one, gap_ns, &name, TimerClass::Deadline, random.below(10_000)),
                _ => {}
            }
            events.push(one);
        }
        let mut claims = snapshot(Ending::Exit(0), events).claims;
        for line in claims.lines.iter_mut().filter(|line| line.wait.is_some()) {
            let low_ns = random.between(0, 1_000_000) * MS;
            let high_ns = low_ns + random.between(0, 9_000) * MS;
            line.range = (random.below(3) == 0).then_some(GapRange { low_ns, high_ns, phases: 64 });
        }
        let text = claims.render();
        assert_eq!(Claims::parse(&text).as_ref(), Ok(&claims), "round {round}:\n{text}");
        assert!(claims.lines.iter().all(|line| line.t_ns % MS == 0));
    }
}

#[test]
fn damaged_text_is_an_error_and_never_a_panic() {
    let text = Connect::on_time(2).snapshot().claims.render();
    let mut random = Random(2);
    let mut refused = 0;
    for _ in 0..5000 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            match random.below(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, b" +.9s\n"[usize::try_from(random.below(6)).unwrap()]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        refused += usize::from(Claims::parse(&String::from_utf8_lossy(&bytes)).is_err());
    }
    assert!(refused > 1000, "{refused}");
}
