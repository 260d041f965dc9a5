//! When to try again, and how long to wait first.
//!
//! Resets, timeouts, 408, 425, 429 and most 5xx answers are worth another attempt; the pause
//! doubles each time and is spread by chance, so that many downloads do not come back at once.
//! Where a server says `Retry-After`, every request to it waits that long.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;
use url::Url;

use crate::core::locks;

/// Retry and timeout limits.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// How often a download is tried again without having got any further.
    pub retries: u32,
    /// The pause before the first retry; it doubles with each.
    pub first_pause: Duration,
    /// No pause is longer. A server that asks for a longer one is given up.
    pub longest: Duration,
    /// How long a server may say nothing at all.
    pub timeout: Duration,
    /// How many bytes a second have to come, over each time as long as that; none where this is 0.
    pub slowest: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 5,
            first_pause: Duration::from_millis(200),
            longest: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            slowest: 1000,
        }
    }
}

impl RetryPolicy {
    /// The pause before the `attempt`th retry (from 1): between half of it and the whole.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let doubled = self
            .first_pause
            .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
            .min(self.longest);
        doubled.mul_f64(0.5 + 0.5 * chance())
    }
}

/// A number from 0 to 1 that two processes do not share.
fn chance() -> f64 {
    f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX)
}

/// Whether bytes come fast enough: a server that sends one now and then would hold us for ever.
pub(super) struct Pace {
    slowest: u64,
    time: Duration,
    start: Instant,
    before: u64,
}

impl Pace {
    /// Counts from `size` bytes on.
    pub(super) fn new(retry: &RetryPolicy, size: u64) -> Self {
        Self {
            slowest: retry.slowest,
            time: retry.timeout,
            start: Instant::now(),
            before: size,
        }
    }

    /// `size` bytes are there by now; the reason, where too few came.
    pub(super) fn check(&mut self, size: u64) -> Result<(), String> {
        let passed = self.start.elapsed();
        if passed < self.time {
            return Ok(());
        }
        let came = u128::from(size.saturating_sub(self.before));
        let rate = came * 1000 / passed.as_millis().max(1);
        if rate < u128::from(self.slowest) {
            return Err(format!(
                "{rate} bytes a second came, fewer than --speed-limit {} asks for",
                self.slowest
            ));
        }
        (self.start, self.before) = (Instant::now(), size);
        Ok(())
    }
}

/// Whether an answer may be another one in a while.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429)
        || (status.is_server_error() && !matches!(status.as_u16(), 501 | 505 | 511))
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// The servers that asked to be left alone, and until when.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<String, Instant>>);

impl Gates {
    /// Nothing is asked of the URL's server before this time has passed.
    pub(super) fn close(&self, url: &Url, pause: Duration) {
        let until = Instant::now() + pause;
        let mut gates = locks::held(&self.0);
        let gate = gates.entry(server(url)).or_insert(until);
        *gate = until.max(*gate);
    }

    /// Waits until the URL's server may be asked.
    pub(super) async fn pass(&self, url: &Url) {
        let until = {
            let gates = locks::held(&self.0);
            gates.get(&server(url)).copied()
        };
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}

fn server(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let retry = RetryPolicy {
            first_pause: Duration::from_secs(1),
            longest: Duration::from_secs(10),
            ..RetryPolicy::default()
        };
        for (attempt, whole) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (4000, 10)] {
            let pause = retry.pause(attempt);
            assert!(
                pause >= Duration::from_secs(whole) / 2 && pause <= Duration::from_secs(whole),
                "{attempt}: {pause:?}"
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let wait = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:27 GMT"), Some(0));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [408, 425, 429, 500, 502, 503, 504, 522] {
            assert!(is_passing(StatusCode::from_u16(status).unwrap_or_default()));
        }
        for status in [200, 400, 401, 403, 404, 410, 416, 501, 505] {
            assert!(!is_passing(
                StatusCode::from_u16(status).unwrap_or_default()
            ));
        }
    }
}
