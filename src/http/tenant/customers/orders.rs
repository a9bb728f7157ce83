//! `/api/orders`: what customers have ordered. An order is written with all its lines, and becomes one due.

use actix_web::{HttpResponse, get, patch, post, web};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{NOTES_MAX, unknown};
use crate::db::DbError;
use crate::db::tenant::audit;
use crate::db::tenant::customers::dues::{self, NewDue};
use crate::db::tenant::customers::orders::{self, NewOrder};
use crate::db::tenant::customers::{charges, clock, reminders};
use crate::domain::day;
use crate::domain::ids::{CustomerId, DueId, OrderId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::order::{MOST_LINES, Order, OrderLine, OrderStatus, Quantity, total};
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::patch::Patch;
use crate::domain::text::{Name, line, text};
use crate::http::body::{Body, Params, paging, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, TradeData};
use crate::http::form::Changes;
use crate::http::problem::{Problem, ProblemBody};

/// One thing of an order to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderItem {
    /// What it is: one line of at most 200 characters.
    #[schema(value_type = Name)]
    description: Option<String>,
    /// How many; one when left out.
    #[schema(value_type = Option<Quantity>)]
    quantity: Option<i64>,
    /// What one costs.
    #[schema(value_type = i64, minimum = 0, maximum = 100000000000i64, example = 1990)]
    unit_cents: Option<i64>,
}

/// An order to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrder {
    /// Who orders.
    #[schema(value_type = CustomerId)]
    customer_id: Option<String>,
    /// What: 1 to 100 lines, which cost something together.
    #[schema(value_type = Vec<OrderItem>, min_items = 1, max_items = 100)]
    items: Option<Vec<OrderItem>>,
    /// When it is to be paid, in the tenant's time zone.
    #[schema(value_type = NaiveDate)]
    due_date: Option<String>,
    /// At most 10,000 characters in any number of lines.
    notes: Option<String>,
}

fn check_item(errors: &mut FieldErrors, index: usize, item: OrderItem) -> Option<OrderLine> {
    let field = |name: &str| format!("items[{index}].{name}");
    let description = errors.require(&field("description"), item.description, |description| {
        line(&description, Name::MAX)
    });
    let quantity = errors.check(&field("quantity"), Quantity::parse(item.quantity.unwrap_or(1)));
    let unit = errors.require(
        &field("unit_cents"),
        item.unit_cents,
        crate::domain::customer::price,
    );
    Some(OrderLine {
        description: description?,
        quantity: quantity?.get(),
        unit_cents: unit?,
        amount_cents: 0,
    })
}

/// What the due of an order says.
fn described(lines: &[OrderLine]) -> String {
    match lines {
        [] => String::new(),
        [only] => only.description.clone(),
        [first, rest @ ..] => format!("{} (+{})", first.description, rest.len()),
    }
}

impl CreateOrder {
    fn check(self) -> Result<(NewOrder, NewDue), FieldErrors> {
        let mut errors = FieldErrors::new();
        let customer = errors.require("customer_id", self.customer_id, |id| id.parse());
        let items = errors.require("items", self.items, |items| match items.len() {
            1..=MOST_LINES => Ok(items),
            _ => Err(Invalid::new(
                "wrong_number",
                format!("must be 1 to {MOST_LINES} lines"),
            )),
        });
        let lines = items.and_then(|items| {
            let lines: Vec<Option<OrderLine>> = items
                .into_iter()
                .enumerate()
                .map(|(index, item)| check_item(&mut errors, index, item))
                .collect();
            lines.into_iter().collect::<Option<Vec<OrderLine>>>()
        });
        let total_cents = lines
            .as_ref()
            .and_then(|lines| errors.check("items", total(lines)));
        let due_date = errors.require("due_date", self.due_date, |day| day::parse(&day));
        let notes = errors.check_opt("notes", self.notes, |notes| text(&notes, NOTES_MAX));
        errors.finish(|| {
            let (id, customer, lines, total_cents) = (OrderId::new(), customer?, lines?, total_cents?);
            let due = NewDue {
                id: DueId::new(),
                customer,
                order: Some(id),
                description: described(&lines),
                amount_cents: total_cents,
                due_date: due_date?,
            };
            let order = NewOrder {
                id,
                customer,
                lines,
                total_cents,
                notes,
            };
            Some((order, due))
        })
    }
}

/// Changes to an order: what is left out stays, `null` empties. What was ordered stays as it is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateOrder {
    /// `open` or `done`; to give an order up there is `/cancel`.
    #[serde(default)]
    #[schema(value_type = OrderStatus, required = false)]
    status: Patch<String>,
    /// At most 10,000 characters in any number of lines.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    notes: Patch<String>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

impl UpdateOrder {
    fn check(self) -> Result<(Option<i32>, Map<String, Value>), FieldErrors> {
        let mut form = Changes::default();
        form.required("status", self.status, |status| {
            match OrderStatus::parse(&status) {
                Ok(OrderStatus::Canceled) | Err(_) => Err(Invalid::unknown_value(&[
                    OrderStatus::Open.as_str(),
                    OrderStatus::Done.as_str(),
                ])),
                known => known,
            }
        });
        form.optional("notes", self.notes, |notes| text(&notes, NOTES_MAX));
        Ok((self.version, form.finish()?))
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListOrders {
    /// In this state.
    #[param(value_type = Option<OrderStatus>)]
    status: Option<String>,
    /// Of this customer.
    customer_id: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// State, customer, place and length of a page.
type Listed = (Option<&'static str>, Option<CustomerId>, Option<Cursor>, Limit);

impl ListOrders {
    fn check(self) -> Result<Listed, FieldErrors> {
        let mut errors = FieldErrors::new();
        let status = errors.check_opt("status", self.status, |status| OrderStatus::parse(&status));
        let customer = errors.check_opt("customer_id", self.customer_id, |id| id.parse());
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((status.map(OrderStatus::as_str), customer, cursor, limit)))
    }
}

fn refuse(error: &DbError) -> Option<Problem> {
    (error.is_constraint("orders_customer_id_fkey") || error.is_constraint("dues_customer_id_fkey"))
        .then(|| unknown("customer_id"))
}

/// List orders, newest first.
#[utoipa::path(
    tag = "customers", operation_id = "list_orders", params(ListOrders), security(("bearer" = [])),
    responses((status = 200, body = Page<Order>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/orders")]
pub async fn list_orders(
    access: TenantAccess<ReadData>,
    params: Params<ListOrders>,
) -> Result<web::Json<Page<Order>>, Problem> {
    let params = access.check(params.0).await?;
    let (status, customer, after, limit) = access.check(params.check()).await?;
    let rows = access
        .run(orders::list(status, customer, after, limit))
        .await?
        .output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Add an order, and the due for it.
#[utoipa::path(
    tag = "customers", operation_id = "create_order", request_body = CreateOrder, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Order), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/orders")]
pub async fn create_order(
    access: TenantAccess<TradeData>,
    key: IdempotencyHeader,
    body: Body<CreateOrder>,
) -> Result<HttpResponse, Problem> {
    let order = access.check(body.value).await?;
    let (order, due) = access.check(order.check()).await?;
    let batch = (
        (orders::insert(&order, access.now), orders::insert_lines(&order)),
        dues::insert(due, access.now),
        clock::wake(access.now),
        audit::insert(&access.access, "order.create", "orders", order.id),
        orders::shown(order.id),
    );
    let creation = Creation {
        operation: "create_order",
        key,
        hash: body.hash,
        row: Some(order.id.as_uuid()),
    };
    access
        .create(creation, batch, |(_, _, _, _, order)| order, refuse)
        .await
}

/// Read an order.
#[utoipa::path(
    tag = "customers", operation_id = "get_order", params(("id" = OrderId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Order), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/orders/{id}")]
pub async fn get_order(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Order>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let order = access.run(orders::find(id)).await?.output;
    order.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change an order. One that was given up is refused with 409 `wrong_state`.
#[utoipa::path(
    tag = "customers", operation_id = "update_order", params(("id" = OrderId, Path)), request_body = UpdateOrder,
    security(("bearer" = [])),
    responses((status = 200, body = Order), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/orders/{id}")]
pub async fn update_order(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    body: Body<UpdateOrder>,
) -> Result<web::Json<Order>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        orders::lock(id, version),
        orders::refuse_canceled(id),
        orders::update(id, changes, access.now),
        audit::insert(&access.access, "order.update", "orders", id),
        orders::shown(id),
    );
    Ok(web::Json(access.run(batch).await?.output.4))
}

/// Give an order up: its due is not owed any more, and nobody is reminded of it. One of which something was paid is refused with
/// 409 `wrong_state`. Repeating it is no error.
#[utoipa::path(
    tag = "customers", operation_id = "cancel_order", params(("id" = OrderId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Order), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/orders/{id}/cancel")]
pub async fn cancel_order(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<web::Json<Order>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let batch = (
        (orders::lock(id, None), dues::lock_of_order(id)),
        (
            dues::cancel_of_order(id, access.now),
            charges::recheck_of_order(id, access.now),
            reminders::cancel_of_order(id, access.now),
        ),
        orders::cancel(id, access.now),
        audit::insert(&access.access, "order.cancel", "orders", id),
        orders::shown(id),
    );
    Ok(web::Json(access.run(batch).await?.output.4))
}
