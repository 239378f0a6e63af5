//! Script and style of the pages, compiled in. A browser asks again whether they changed with every new program only.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

use crate::problem::Problem;

/// Files by name, each with its media type.
const FILES: [(&str, &str, &str); 4] = [
    (
        "console.css",
        "text/css; charset=utf-8",
        include_str!("../../console/console.css"),
    ),
    (
        "console.js",
        "text/javascript; charset=utf-8",
        include_str!("../../console/console.js"),
    ),
    (
        "plots.js",
        "text/javascript; charset=utf-8",
        include_str!("../../console/plots.js"),
    ),
    (
        "icon.svg",
        "image/svg+xml",
        include_str!("../../console/icon.svg"),
    ),
];

/// Shows a file.
pub(super) async fn show(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, media_type, text)) => (
            [
                (header::CONTENT_TYPE, *media_type),
                (header::CACHE_CONTROL, "no-cache"),
            ],
            *text,
        )
            .into_response(),
        None => Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_route",
            "the console has no such file",
        )
        .into_response(),
    }
}
