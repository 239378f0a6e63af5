//! What goes wrong with a connection to a database, in words: TLS of both kinds of servers, and connections that end.
//!
//! The library's messages name its own types, and some lead to pages of its manual; a reader of a task's error wants
//! to know what is wrong with the certificate and what to do. What is not known here is shown as the library says it.

use std::io;

use tokio_rustls::rustls::{CertificateError, Error};

/// A server that is gone, whether it said good-bye by the rules of TLS or not.
pub(crate) const CLOSED: &str = "the server closed the connection";

/// An error of a connection as a clause for a person. `roots` is the option that names a file of certificates.
pub(crate) fn reason(error: &io::Error, roots: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match (inner, error.kind()) {
        (Some(inner), _) => handshake(inner, roots),
        (None, io::ErrorKind::UnexpectedEof) => CLOSED.to_owned(),
        (None, _) => error.to_string(),
    }
}

/// An error of TLS as a clause for a person. `roots` is the option that names a file of certificates.
pub(crate) fn handshake(error: &Error, roots: &str) -> String {
    use CertificateError as E;
    let Error::InvalidCertificate(problem) = error else {
        return format!("TLS failed: {error}");
    };
    let told = match problem {
        E::UnknownIssuer => {
            format!(
                "nobody who is trusted vouches for the server's certificate (name a file of who does by `{roots}`)"
            )
        }
        E::Expired | E::ExpiredContext { .. } => "the server's certificate has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet".to_owned()
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            "the server's certificate is for another name than the one it is connected by".to_owned()
        }
        problem if is_authority(problem) => {
            "the server's certificate is that of an authority (`CA:TRUE`), which may sign others and not \
             stand for a server (make the server one with `basicConstraints=CA:FALSE`)"
                .to_owned()
        }
        problem => format!("the server's certificate is not taken: {problem}"),
    };
    format!("TLS failed: {told}")
}

/// Whether a certificate was refused because it is marked as one that signs others. The library has no name of its
/// own for that and passes on what its checker says.
pub(crate) fn is_authority(problem: &CertificateError) -> bool {
    matches!(problem, CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_ends_is_told_without_a_link() {
        let cut = io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/rustls/manual",
        );
        assert_eq!(reason(&cut, "ssl-ca"), "the server closed the connection");
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(reason(&refused, "ssl-ca"), "connection refused");
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_in_words() {
        let check = |problem: CertificateError, words: &str| {
            let error = io::Error::new(io::ErrorKind::InvalidData, Error::from(problem));
            let told = reason(&error, "ssl-ca");
            assert!(
                told.starts_with("TLS failed: ") && told.contains(words),
                "{told}"
            );
        };
        check(CertificateError::UnknownIssuer, "by `ssl-ca`");
        check(CertificateError::Expired, "has expired");
        check(CertificateError::NotValidYet, "not valid yet");
        check(CertificateError::NotValidForName, "another name");
        check(CertificateError::BadSignature, "is not taken: ");
        let told = handshake(&Error::DecryptError, "ssl-ca");
        assert_eq!(told, "TLS failed: cannot decrypt peer's message");
    }
}
