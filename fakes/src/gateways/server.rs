//! The TCP server in front of a gateway: reads a request, lets it fail as told, sends news, answers.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::stream;
use serde_json::json;

use super::control;
use super::fault::{Failure, Fault};
use super::reply::{Logged, Reply, Request, pairs};
use super::world::World;

pub fn serve(listener: TcpListener, world: Arc<World>) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&world)))
            .default_service(web::to(entry))
    });
    Ok(server
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run())
}

async fn entry(http: HttpRequest, body: web::Bytes, world: web::Data<World>) -> HttpResponse {
    let request = read(&http, &body);
    if request.path.starts_with("/_control") {
        return written(&control::answer(&world, &request).await);
    }
    let failure = Fault::take(&mut world.lock().faults, &request);
    let reply = match failure {
        None => answer(&world, &request).await,
        Some(failure) => match fail(&world, &request, failure).await {
            Some(reply) => reply,
            None => {
                world.lock().log.push(Logged::of(&request, 0));
                return closed();
            }
        },
    };
    world.lock().log.push(Logged::of(&request, reply.status));
    written(&reply)
}

async fn answer(world: &World, request: &Request) -> Reply {
    let (reply, events) = world.answer(request);
    world.announce(&events, false).await;
    reply
}

/// The answer of a request that fails; none when the connection is to be closed.
async fn fail(world: &World, request: &Request, failure: Failure) -> Option<Reply> {
    let done = if failure.commits() {
        Some(answer(world, request).await)
    } else {
        None
    };
    let reply = match (failure, done) {
        (Failure::CommitThenStall(millis), Some(reply)) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            reply
        }
        (Failure::CommitThenTruncate, Some(mut reply)) => {
            let half = reply.body.chars().count() / 2;
            reply.body = reply.body.chars().take(half).collect();
            reply
        }
        (Failure::TooManyRequests(seconds), _) => {
            let mut reply = Reply::json(429, json!({"message": "too many requests"}));
            reply.retry_after = Some(seconds);
            reply
        }
        (Failure::CommitThenStatus(status) | Failure::Status(status), _) => {
            Reply::json(status, json!({"message": "internal error"}))
        }
        (Failure::Html(status), _) => Reply::html(status),
        _ => return None,
    };
    world.lock().keep_failure(request, &reply);
    Some(reply)
}

fn read(http: &HttpRequest, body: &[u8]) -> Request {
    let headers = http.headers().iter();
    Request {
        method: http.method().to_string(),
        path: http.path().to_owned(),
        query: pairs(http.query_string()),
        headers: headers
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: String::from_utf8_lossy(body).into_owned(),
    }
}

fn written(reply: &Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = reply.retry_after {
        response.insert_header(("Retry-After", seconds.to_string()));
    }
    let kind = if reply.html {
        "text/html"
    } else {
        "application/json"
    };
    response.content_type(kind).body(reply.body.clone())
}

/// An answer that breaks before its first byte: the server closes the connection.
fn closed() -> HttpResponse {
    let broken = std::io::Error::other("closed on purpose");
    HttpResponse::Ok().streaming(stream::once(async { Err::<web::Bytes, _>(broken) }))
}
