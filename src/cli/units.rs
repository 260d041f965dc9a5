//! Times and sizes as they are typed: `90d`, `20G`.

use std::time::Duration;

/// In seconds.
pub(super) const DAY: u64 = 24 * 60 * 60;

/// `90d`, `12h`, `30m`, `45s`, `2w`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (count, unit) = number(text)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return Err("a time has a unit: s, m, h, d or w, as in 90d".to_owned()),
    };
    let seconds = count.checked_mul(seconds);
    seconds.map(Duration::from_secs).ok_or_else(too_large)
}

/// `20G`, `500M`, `500MiB`: powers of 1024, as `lockwright` shows sizes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (count, unit) = number(text)?;
    let unit = unit.to_ascii_uppercase();
    let shift = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("a size has a unit: K, M, G or T, as in 20G".to_owned()),
    };
    count.checked_mul(1 << shift).ok_or_else(too_large)
}

fn number(text: &str) -> Result<(u64, &str), String> {
    let end = text
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let count = digits
        .parse()
        .map_err(|_| "it begins with a whole number".to_owned())?;
    Ok((count, unit.trim()))
}

fn too_large() -> String {
    "it is too large".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * DAY)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(size("20G"), Ok(20 << 30));
        assert_eq!(size("500 MiB"), Ok(500 << 20));
        assert_eq!(size("0"), Ok(0));
        for text in ["", "d", "90", "-1d", "90x", "99999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "G", "1X", "99999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
