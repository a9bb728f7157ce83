//! `/api/export`: all of a tenant's data, for its owner (LGPD). Also of a tenant whose subscription is over.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::{HttpResponse, get};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use crate::db::tenant::audit;
use crate::domain::turns::Busy;
use crate::http::extract::{OwnExport, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// Bytes that are sent at once.
const PIECE: usize = 64 * 1024;
/// Pieces that may wait for the client.
const WAITING: usize = 4;
/// Longest time; meanwhile a transaction of the database is open.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// All of the account's data as a zip: each table as CSV and as JSON lines, the photos, and what came along with messages; no password and no credential. Owners
/// only; noted in the audit. It is sent as it is read, all of one moment; when it cannot be read to its end, the connection is
/// closed in the middle.
#[utoipa::path(
    tag = "account", operation_id = "export_account", security(("bearer" = [])),
    responses(
        (status = 200, content_type = "application/zip", body = Vec<u8>),
        (status = 429, body = ProblemBody, description = "`too_many_at_once`: one export at a time"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/export")]
pub async fn export_account(access: TenantAccess<OwnExport>) -> Result<HttpResponse, Problem> {
    access
        .run(audit::insert(
            &access.access,
            "tenant.export",
            "tenants",
            access.tenant.home.id,
        ))
        .await?;
    let turn = access.platform().exports.turn(access.tenant.home.id).await;
    let turn = turn.map_err(|Busy| Problem::crowded())?;
    let (send, receive) = mpsc::channel(WAITING);
    let (keeper, key) = (access.platform().keeper.clone(), access.tenant.key.clone());
    let name = format!("attachment; filename=\"{key}.zip\"");
    let cut = send.clone();
    actix_web::rt::spawn(async move {
        let out = BufWriter::with_capacity(PIECE, Body(send));
        let outcome = tokio::time::timeout(LONGEST, keeper.hand_over(&key, out)).await;
        let reason = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it took too long".to_owned()),
        };
        if let Some(reason) = reason {
            tracing::warn!(reason, "an export has not come to its end");
            // Nobody listens any more, or the client learns that the zip is not whole.
            let _ = cut.send(Err(io::Error::other("the export has failed"))).await;
        }
        drop(turn);
    });
    let body = stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|piece| (piece, receive))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/zip")
        .insert_header((CONTENT_DISPOSITION, name))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(body))
}

/// What is written to it is sent to the client.
struct Body(mpsc::Sender<Result<Bytes, io::Error>>);

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0
            .blocking_send(Ok(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
