//! Query strings.

/// `a=b&c=d` with everything but unreserved characters percent-encoded (RFC 3986, section 2.3).
#[must_use]
pub(crate) fn query(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    pairs.join("&")
}

/// A text with everything but unreserved characters percent-encoded.
#[must_use]
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_odd_is_encoded() {
        assert_eq!(
            super::query(&[("a", "b c/é"), ("d", "&=")]),
            "a=b%20c%2F%C3%A9&d=%26%3D"
        );
    }
}
