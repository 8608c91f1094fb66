//! Repetition of requests that fail for a time: broken connections, busy and failing servers.

use crate::Error;
use crate::http::Failure;
use std::thread;
use std::time::Duration;

/// Requests in a row without a new byte, after which a download fails.
const ATTEMPTS: u32 = 5;

/// Longest time that the program waits for a server which names a time.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Repeats `attempt` after failures that may pass. It waits as long as the server says, else `pause`, which doubles.
///
/// `attempt` returns with its failure whether it made progress. Then the count of attempts begins again.
pub(crate) fn repeat<T>(
    pause: Duration,
    on_retry: &mut dyn FnMut(&Error, Duration),
    attempt: &mut dyn FnMut() -> Result<T, (Failure, bool)>,
) -> Result<T, Error> {
    let (mut left, mut next) = (ATTEMPTS, pause);
    loop {
        let (error, after, progress) = match attempt() {
            Ok(done) => return Ok(done),
            Err((Failure::Fatal(error), _)) => return Err(error),
            Err((Failure::Retry(error, after), progress)) => (error, after, progress),
        };
        if progress {
            (left, next) = (ATTEMPTS, pause);
        }
        left -= 1;
        let wait = after.unwrap_or(next);
        if left == 0 || wait > LONGEST_WAIT {
            return Err(error);
        }
        on_retry(&error, wait);
        thread::sleep(wait);
        next *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(after: Option<u64>) -> Failure {
        let error = Error::Status { address: String::new(), status: 503, message: String::new() };
        Failure::Retry(error, after.map(Duration::from_millis))
    }

    fn waits(failures: &mut dyn FnMut(u32) -> Option<(Failure, bool)>) -> (bool, Vec<u128>) {
        let (mut waits, mut count) = (Vec::new(), 0);
        let done = repeat(Duration::from_millis(1), &mut |_, wait| waits.push(wait.as_millis()), &mut || {
            count += 1;
            failures(count).map_or(Ok(()), Err)
        });
        (done.is_ok(), waits)
    }

    #[test]
    fn attempts_are_counted_since_the_last_progress() {
        assert_eq!(waits(&mut |_| Some((failure(None), false))), (false, vec![1, 2, 4, 8]));
        assert_eq!(waits(&mut |n| (n < 4).then(|| (failure(None), n == 2))), (true, vec![1, 1, 2]));
        assert_eq!(waits(&mut |n| (n < 3).then(|| (failure(Some(3)), false))), (true, vec![3, 3]));
        assert_eq!(waits(&mut |_| Some((failure(Some(3_600_000)), false))), (false, vec![]));
        assert!(waits(&mut |n| (n < 20).then(|| (failure(Some(0)), true))).0);
    }
}
