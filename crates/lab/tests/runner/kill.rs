//! A run that is killed at random times and resumed loses no finished visit and repeats none.

use crate::Test;
use crate::list::PID_FILE;
use crate::program::{copies, records, start, wait};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use ridgeline_experiment::record::Status;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("nothing_finished_is_lost", nothing_finished_is_lost),
    ("an_orphan_ends_with_its_parent", an_orphan_ends_with_its_parent),
    #[cfg(unix)]
    ("an_interrupt_ends_the_run_without_a_failure", an_interrupt_ends_the_run_without_a_failure),
];

const ROUNDS: usize = 8;

/// The complete lines of the journal.
fn lines(out: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(out.join("journal.jsonl")).unwrap_or_default();
    let lines = bytes.split_inclusive(|&b| b == b'\n').filter(|l| l.ends_with(b"\n"));
    lines.map(<[u8]>::to_vec).collect()
}

fn nothing_finished_is_lost() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path();
    let sizes: Vec<u64> = (1..=16).map(|i| i * 1000).collect();
    let matrix = copies(&sizes, &["well"], 12);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(20);
    let mut finished: Vec<Vec<u8>> = Vec::new();
    for round in 0..ROUNDS {
        if round % 3 == 2 {
            // A crash of the machine can leave a torn line.
            let mut journal =
                std::fs::File::options().append(true).open(out.join("journal.jsonl")).expect("it is there");
            journal.write_all(b"{\"schema\":\"ridgeline.journal/3\",\"run_id\":\"to").expect("a torn line");
        }
        let target = finished.len() + random.random_range(0..4_usize);
        let mut run = start(out, &matrix, &[]);
        wait("progress", || lines(out).len() >= target);
        std::thread::sleep(Duration::from_micros(random.random_range(0..40_000)));
        run.kill().expect("it can be killed");
        run.wait().expect("it is dead");
        let now = lines(out);
        assert!(now.len() >= finished.len(), "round {round}: {} lines after {}", now.len(), finished.len());
        assert_eq!(now[..finished.len()], finished, "round {round}: a finished line has changed");
        finished = now;
    }
    assert!(finished.len() < 3 * sizes.len(), "the run was over before the last kill: make its cells longer");
    let status = start(out, &matrix, &[]).wait().expect("it ends");
    assert!(status.success(), "{status}");
    assert_eq!(lines(out)[..finished.len()], finished, "the last run changed a finished line");
    let all = records(out);
    assert!(all.iter().all(|r| r.status == Status::Ok), "{all:?}");
    let mut visits: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for record in &all {
        visits.entry(record.point["bytes"].as_u64().expect("a size")).or_default().push(record.visit);
    }
    let expected: BTreeMap<u64, Vec<u32>> = sizes.into_iter().map(|bytes| (bytes, vec![0, 1, 2])).collect();
    assert_eq!(visits, expected, "every cell has three visits, none lost and none repeated");
    let runs: HashSet<&str> = all.iter().map(|r| r.run_id.as_str()).collect();
    assert!(runs.len() > 2, "the kills fell on different runs");
}

fn an_orphan_ends_with_its_parent() {
    if !Path::new("/proc/self").exists() {
        return orphan_without_proc();
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pid_file = folder.path().join("pid");
    let mut run = start(folder.path(), &copies(&[1000], &["hang"], 1), &[(PID_FILE, &pid_file)]);
    let pid = || std::fs::read_to_string(&pid_file).ok()?.parse::<u32>().ok();
    wait("the cell to begin", || pid().is_some());
    let process = Path::new("/proc").join(pid().expect("just read").to_string());
    assert!(process.exists(), "the child is at work");
    run.kill().expect("it can be killed");
    run.wait().expect("it is dead");
    // The orphan may remain a zombie until its new parent waits for it.
    let gone = || std::fs::read_to_string(process.join("stat")).map_or(true, |stat| stat.contains(") Z "));
    wait("the child to end", gone);
}

/// Without `/proc`, the lock shows the end of the child: the folder can be opened again at once.
fn orphan_without_proc() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut run = start(folder.path(), &copies(&[1000], &["hang"], 1), &[]);
    wait("the journal", || folder.path().join("journal.jsonl").exists());
    run.kill().expect("it can be killed");
    run.wait().expect("it is dead");
    ridgeline_lab::runner::folder::Folder::open(folder.path()).expect("the lock is released");
}

/// Ctrl-C in a terminal reaches the run and the process that measures.
#[cfg(unix)]
fn an_interrupt_ends_the_run_without_a_failure() {
    use crate::program::INTERRUPTED;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let matrix = copies(&[1000, 2000, 3000, 4000], &["well"], 50);
    let mut run = start(folder.path(), &matrix, &[]);
    wait("progress", || lines(folder.path()).len() >= 2);
    let group = format!("-{}", run.id());
    let kill = std::process::Command::new("kill").args(["-s", "INT", "--", &group]).status();
    assert!(kill.expect("there is a `kill`").success());
    let status = run.wait().expect("it ends");
    assert_eq!(status.code(), Some(i32::from(INTERRUPTED)), "{status}");
    let early = records(folder.path());
    assert!(early.len() < 12 && early.iter().all(|r| r.status == Status::Ok), "{early:?}");
    assert!(start(folder.path(), &matrix, &[]).wait().expect("it ends").success());
    let all = records(folder.path());
    assert_eq!((all.len(), &all[..early.len()]), (12, &early[..]), "the next run continues");
}
