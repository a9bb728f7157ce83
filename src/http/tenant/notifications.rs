//! `/api/notifications`: what the user who asks is to look at. Nobody sees somebody else's.

use actix_web::{get, post, web};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::db::tenant::notifications;
use crate::domain::ids::NotificationId;
use crate::domain::inbox::Notification;
use crate::domain::invalid::FieldErrors;
use crate::domain::page::{Cursor, Limit, Page};
use crate::http::body::{Params, flag, paging, path_id};
use crate::http::extract::{OwnDesk, OwnReading, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// For how long what was read is kept.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListNotifications {
    /// Those that are not read yet, or those that are.
    #[param(value_type = Option<bool>)]
    unread: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListNotifications {
    fn check(self) -> Result<(Option<bool>, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let unread = errors.check_opt("unread", self.unread, |unread| flag(&unread));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((unread, cursor, limit)))
    }
}

/// What has become of them.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ReadNotifications {
    /// So many were not read until now.
    read: u64,
}

/// List what you are to look at, newest first.
#[utoipa::path(
    tag = "notifications", operation_id = "list_notifications", params(ListNotifications), security(("bearer" = [])),
    responses((status = 200, body = Page<Notification>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/notifications")]
pub async fn list_notifications(
    access: TenantAccess<OwnReading>,
    params: Params<ListNotifications>,
) -> Result<web::Json<Page<Notification>>, Problem> {
    let session = access.session().await?;
    let params = access.check(params.0).await?;
    let (unread, after, limit) = access.check(params.check()).await?;
    let list = notifications::list(&session, unread, after, limit);
    let rows = access.run(list).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Note that you have seen one of them. What was read a month ago is removed.
#[utoipa::path(
    tag = "notifications", operation_id = "read_notification", params(("id" = NotificationId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Notification), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/notifications/{id}/read")]
pub async fn read_notification(
    access: TenantAccess<OwnDesk>,
    id: web::Path<String>,
) -> Result<web::Json<Notification>, Problem> {
    let session = access.session().await?;
    let id = access.check(path_id(&id)).await?;
    let batch = (
        notifications::set_read(id, &session, access.now),
        notifications::prune(&session, access.now - KEPT),
    );
    let (notification, _) = access.run(batch).await?.output;
    notification.map(web::Json).ok_or_else(Problem::not_found)
}

/// Note that you have seen all of them. What was read a month ago is removed.
#[utoipa::path(
    tag = "notifications", operation_id = "read_all_notifications", security(("bearer" = [])),
    responses((status = 200, body = ReadNotifications), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/notifications/read")]
pub async fn read_all_notifications(
    access: TenantAccess<OwnDesk>,
) -> Result<web::Json<ReadNotifications>, Problem> {
    let session = access.session().await?;
    let batch = (
        notifications::set_all_read(&session, access.now),
        notifications::prune(&session, access.now - KEPT),
    );
    let (read, _) = access.run(batch).await?.output;
    Ok(web::Json(ReadNotifications { read }))
}
