//! What an answer's headers say of its bytes: how many, which part, of which file.

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED};

/// A header's value, as text.
pub(super) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

/// `Content-Length`.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_LENGTH)?.parse().ok()
}

/// `Content-Range: bytes START-END/TOTAL` (RFC 9110, section 14.4).
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = text(headers, &CONTENT_RANGE)?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    Some((start, total.parse().ok()))
}

/// What may stand in `If-Range`: a strong ETag or a date (RFC 9110, section 13.1.5).
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    text(headers, &ETAG)
        .filter(|etag| !etag.starts_with("W/"))
        .or_else(|| text(headers, &LAST_MODIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let value = |(name, value): &(HeaderName, &'static str)| {
            (name.clone(), HeaderValue::from_static(value))
        };
        pairs.iter().map(value).collect()
    }

    #[test]
    fn only_strong_validators_make_parts_of_one_file() {
        assert_eq!(validator(&headers(&[(ETAG, "W/\"x\"")])), None);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let both = [(ETAG, "\"x\""), (LAST_MODIFIED, date)];
        assert_eq!(validator(&headers(&both)).as_deref(), Some("\"x\""));
        let weak = [(ETAG, "W/\"x\""), (LAST_MODIFIED, date)];
        assert_eq!(validator(&headers(&weak)).as_deref(), Some(date));
    }

    #[test]
    fn a_content_range_is_read_or_not_believed() {
        let read = |value| content_range(&headers(&[(CONTENT_RANGE, value)]));
        assert_eq!(read("bytes 10-19/20"), Some((10, Some(20))));
        assert_eq!(read("bytes 10-19/*"), Some((10, None)));
        for value in ["", "bytes", "bytes */20", "bytes -1-2/3", "lines 1-2/3"] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
