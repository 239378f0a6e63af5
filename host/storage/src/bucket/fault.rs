//! From a store's errors to ours, each with its cure.
//!
//! `object_store` tells apart what its callers branch on; whether a disk is full or a region is wrong
//! stands in the error's sources only. For S3 that is the text of the answer, whose error codes are those of
//! the S3 API reference ("Error responses") and of the compatible stores in use.

use std::{error, io, sync::Arc};

use object_store::Error;

use super::Bucket;
use crate::{BackendConfig, StorageError};

/// Codes of an S3 store that has no room.
const FULL: [&str; 3] = ["InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"];
/// Codes of an S3 store that expects another region.
const WRONG_REGION: [&str; 4] = [
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "PermanentRedirect",
];
/// Answers of an S3 store that does not let us in.
const DENIED: [&str; 2] = ["403 Forbidden", "401 Unauthorized"];
/// The client's words for a redirection that S3 gives to a request for another region.
const REDIRECTED: &str = "incorrectly configured region";
/// The client's words, in lower case, for an answer that no S3 store gives.
const NO_S3: [&str; 7] = [
    "<html",
    "invalid list response",
    "invalid multipart response",
    "invalid deleteobjects response",
    "unable to extract metadata from headers",
    "405 method not allowed",
    "501 not implemented",
];

impl Bucket {
    /// Translates an error of the store.
    pub(crate) fn fault(&self, path: &str, error: Error) -> StorageError {
        let (bucket, path) = (self.name().clone(), self.whole_path(path));
        match error {
            Error::NotFound { .. } => return StorageError::NotFound { bucket, path },
            Error::AlreadyExists { .. } => return StorageError::Exists { bucket, path },
            _ => {}
        }
        let text = chain(&error);
        if is_full(&error) || has_code(&text, &FULL) || text.contains("507 Insufficient Storage") {
            let source = Arc::new(error);
            return StorageError::Full {
                bucket,
                path,
                source,
            };
        }
        if let Some(reason) = self.misconfiguration(&text) {
            return StorageError::Misconfigured { bucket, reason };
        }
        // A listing that is refused is no `PermissionDenied` to the client.
        let denied = matches!(
            error,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
        ) || DENIED.iter().any(|status| text.contains(status));
        let cure = self.denial_cure(&text);
        let source = Arc::new(error);
        let path = match path.as_str() {
            "" => "/".to_owned(),
            _ => path,
        };
        if denied {
            StorageError::Denied {
                bucket,
                path,
                cure,
                source,
            }
        } else {
            StorageError::Unavailable {
                bucket,
                path,
                source,
            }
        }
    }

    /// What in the bucket's configuration must be wrong, judged by what the store says.
    fn misconfiguration(&self, text: &str) -> Option<String> {
        let BackendConfig::S3(s3) = self.backend() else {
            return None;
        };
        if has_code(text, &["NoSuchBucket"]) {
            let name = &s3.bucket;
            return Some(format!(
                "the store has no bucket `{name}`; create it there or correct `bucket`"
            ));
        }
        if has_code(text, &WRONG_REGION) || text.contains(REDIRECTED) {
            let expected = between(text, "expecting '", "'")
                .or_else(|| between(text, "<Region>", "</Region>"))
                .map(|region| format!(" to `{region}`"))
                .unwrap_or_default();
            return Some(format!(
                "the store belongs to another region; correct `region`{expected}"
            ));
        }
        let lower = text.to_ascii_lowercase();
        let no_s3 = NO_S3.iter().any(|sign| lower.contains(sign));
        no_s3.then(|| "what answers at `endpoint` is no S3 store; correct `endpoint`".to_owned())
    }

    fn denial_cure(&self, text: &str) -> &'static str {
        match self.backend() {
            BackendConfig::S3(_) if has_code(text, &["InvalidAccessKeyId"]) => {
                "the store does not know the access key; correct `access_key_id`"
            }
            BackendConfig::S3(_) if has_code(text, &["SignatureDoesNotMatch"]) => {
                "the secret key does not fit the access key; correct `secret_access_key`"
            }
            BackendConfig::S3(_) if has_code(text, &["RequestTimeTooSkewed"]) => {
                "this machine's clock is wrong; set it"
            }
            BackendConfig::S3(_) => "check its credentials and their rights",
            _ => "let this user read and write there",
        }
    }
}

/// The error with all its sources, as one text.
pub(crate) fn chain(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whether the operating system has said that there is no room.
fn is_full(error: &dyn error::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
            if full.contains(&io.kind()) {
                return true;
            }
        }
        source = cause.source();
    }
    false
}

/// Whether an S3 store has answered with one of these error codes.
pub(crate) fn has_code(text: &str, codes: &[&str]) -> bool {
    codes
        .iter()
        .any(|code| text.contains(&format!("<Code>{code}</Code>")))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    // It comes from outside and goes into a message.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!found.is_empty() && found.len() <= 40 && found.chars().all(plain)).then_some(found)
}

#[cfg(test)]
mod tests;
