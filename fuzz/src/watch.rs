//! Cases in a process of their own, watched: whatever kills it or hangs is a failure like any other.

use crate::case::{self, Kind, Verdict};
use std::io::{BufRead, BufReader, Write};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// A case that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Failures that are printed and saved; of more there is only the number.
const SHOWN: u64 = 5;

/// Runs cases one after the other, and tells of each on the standard output: `begin N`, then `ran C`, `refused` or `failed WORDS`.
pub fn work(kind: Kind, first: u64) -> anyhow::Result<ExitCode> {
    // Told by the verdict.
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = std::io::stdout().lock();
    for number in first.. {
        writeln!(out, "begin {number}")?;
        let bytes = case::material(kind, number);
        match case::judge(kind, number, &bytes) {
            Verdict::Ran(count) => writeln!(out, "ran {count}")?,
            Verdict::Refused => writeln!(out, "refused")?,
            Verdict::Failed(why) => writeln!(out, "failed {}", why.replace('\n', " "))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What was counted.
#[derive(Default)]
struct Count {
    ran: u64,
    compared: u64,
    refused: u64,
    failed: u64,
}

/// Runs cases of a kind for some time, saves those that fail, and prints how many there were. The number of failures.
pub fn run(kind: Kind, first: u64, cases: u64, time: Duration, save: &Path) -> anyhow::Result<u64> {
    let start = Instant::now();
    let mut count = Count::default();
    let (mut next, end) = (first, first.saturating_add(cases));
    while next < end && start.elapsed() < time {
        let mut worker = Command::new(std::env::current_exe()?)
            .args(["work", kind.name(), &next.to_string()])
            .env("RAYON_NUM_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(worker.stdout.take().expect("it is piped")).lines();
        let (sender, receiver) = sync_channel(1000);
        let reader =
            std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line).ok()));
        let mut running = None;
        let ended = loop {
            if next >= end || start.elapsed() >= time {
                break None;
            }
            match receiver.recv_timeout(PATIENCE) {
                Ok(line) => match line.split_once(' ').unwrap_or((&line, "")) {
                    ("begin", number) => running = number.parse().ok(),
                    (verdict, words) => {
                        let number: u64 = running.take().unwrap_or(next);
                        next = number + 1;
                        match verdict {
                            "ran" => {
                                count.ran += 1;
                                count.compared += words.parse::<u64>().unwrap_or(0);
                            }
                            "refused" => count.refused += 1,
                            _ => fail(kind, number, words, save, &mut count)?,
                        }
                    }
                },
                Err(RecvTimeoutError::Timeout) => break Some("it hangs".to_owned()),
                Err(RecvTimeoutError::Disconnected) => break Some("it ended the process".to_owned()),
            }
        };
        // It may have ended by itself.
        let _ = worker.kill();
        let status = worker.wait()?;
        drop(receiver);
        let _ = reader.join();
        if let Some(why) = ended {
            let number = running.unwrap_or(next);
            fail(kind, number, &format!("{why} ({status})"), save, &mut count)?;
            next = number + 1;
        }
    }
    let Count { ran, compared, refused, failed } = count;
    let (name, seconds) = (kind.name(), start.elapsed().as_secs());
    println!(
        "{name}: {} cases from {first} on in {seconds} s: {ran} ran ({compared} comparisons), {refused} refused, {failed} failed",
        ran + refused + failed
    );
    Ok(failed)
}

fn fail(kind: Kind, number: u64, why: &str, save: &Path, count: &mut Count) -> anyhow::Result<()> {
    count.failed += 1;
    if count.failed <= SHOWN {
        let name = kind.name();
        println!("{name} {number} failed: {why}\n  again: cargo run -- show {name} {number}");
        // Making it may be what fails.
        if let Ok(material) = catch_unwind(|| case::material(kind, number)) {
            std::fs::create_dir_all(save)?;
            let file = save.join(format!("{name}-{number}.{}", kind.extension()));
            std::fs::write(&file, material)?;
            println!("  saved: {0}\n  smaller: cargo run -- shrink {0}", file.display());
        }
    }
    Ok(())
}
