//! QR codes of PIX, as pictures and drawings.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;

use super::problem::Problem;
use crate::billing::pix::PixCode;

/// Answers a code as a PNG.
///
/// # Errors
/// 500 when no picture can be made of it.
pub fn png(code: &PixCode) -> Result<HttpResponse, Problem> {
    let picture = code.png().ok_or_else(Problem::internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/png"))
        .body(picture))
}

/// Answers a code as an SVG.
pub fn svg(code: &PixCode) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "image/svg+xml"))
        .body(code.svg())
}
