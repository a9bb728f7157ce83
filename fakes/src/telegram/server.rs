//! The TCP server in front: finds the bot and the method, lets the call fail as told, answers.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, USER_AGENT};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::stream;

use super::control;
use super::fault::{Failure, Fault};
use super::methods;
use super::params::Params;
use super::reply::{self, Answer, Refusal};
use super::world::World;

/// What is read of one call at most, in bytes: more than may be sent, so that too much is told of and not cut off.
const MOST_READ: usize = 64 << 20;

pub fn serve(listener: TcpListener, world: Arc<World>) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&world)))
            .app_data(web::PayloadConfig::new(MOST_READ))
            .default_service(web::to(entry))
    });
    Ok(server
        .workers(1)
        .backlog(4096)
        .keep_alive(Duration::from_secs(75))
        // Who hangs up does not wait any longer.
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run())
}

async fn entry(http: HttpRequest, body: web::Bytes, world: web::Data<World>) -> HttpResponse {
    let world = world.into_inner();
    let path = decoded(http.path());
    if let Some(rest) = path.strip_prefix("/_control/") {
        let (status, body) = control::answer(&world, http.method().as_str(), rest, &body).await;
        return json(status, body.to_string());
    }
    if let Some(rest) = path.strip_prefix("/file/bot") {
        let token = rest.split('/').next().unwrap_or_default();
        let failure = Fault::take(&mut world.lock().faults, token, "download");
        return match failure {
            None => download(&world, rest),
            Some(Failure::Html(status)) => html(status),
            Some(Failure::Status(status)) => answered(&Err(Refusal::new(status, reason(status)))),
            Some(_) => closed(),
        };
    }
    let called = path.strip_prefix("/bot").and_then(|rest| rest.split_once('/'));
    let Some((token, method)) = called else {
        return answered(&Err(Refusal::not_found()));
    };
    let params = match Params::read(http.query_string(), header(&http, CONTENT_TYPE), &body) {
        Ok(params) => params,
        Err(refusal) => return answered(&Err(refusal)),
    };
    let agent = header(&http, USER_AGENT);
    let failure = Fault::take(&mut world.lock().faults, token, method);
    match failure {
        None => answered(&methods::call(&world, token, method, params, agent).await),
        Some(failure) => fail(&world, token, method, params, agent, failure).await,
    }
}

async fn fail(
    world: &Arc<World>,
    token: &str,
    method: &str,
    params: Params,
    agent: &str,
    failure: Failure,
) -> HttpResponse {
    if failure.acts() {
        let answer = methods::call(world, token, method, params, agent).await;
        return match failure {
            Failure::ActThenStall(millis) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                answered(&answer)
            }
            Failure::ActThenHtml(status) => html(status),
            _ => closed(),
        };
    }
    let (code, response) = match failure {
        Failure::Status(code) => {
            let refusal = Err(Refusal::new(code, reason(code)));
            (code, answered(&refusal))
        }
        Failure::TooManyRequests(seconds) => (429, answered(&Err(Refusal::too_many(seconds)))),
        Failure::Html(code) => (code, html(code)),
        Failure::Hang(millis) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            (0, closed())
        }
        _ => (0, closed()),
    };
    let refused = Err(Refusal::new(code, ""));
    world.change(|book| methods::note(book, token, method, &params, &refused));
    response
}

fn download(world: &World, rest: &str) -> HttpResponse {
    let mut book = world.lock();
    let found = rest
        .split_once('/')
        .and_then(|(token, path)| book.bot(token).ok()?.download(path));
    match found {
        Some(bytes) => HttpResponse::Ok()
            .content_type("application/octet-stream")
            .body(bytes),
        None => answered(&Err(Refusal::not_found())),
    }
}

fn header(http: &HttpRequest, name: impl actix_web::http::header::AsHeaderName) -> &str {
    let value = http.headers().get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The path without its `%…`: some clients write `:` and `/` so.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn answered(answer: &Answer) -> HttpResponse {
    json(reply::status(answer), reply::body(answer).to_string())
}

fn json(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .content_type("application/json")
        .body(body)
}

fn html(status: u16) -> HttpResponse {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let title = reason(status);
    HttpResponse::build(code).content_type("text/html").body(format!(
        "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1></center>\r\n\
         <hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"
    ))
}

fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown")
}

/// An answer that breaks before its first byte: the server closes the connection.
fn closed() -> HttpResponse {
    let broken = std::io::Error::other("closed on purpose");
    HttpResponse::Ok().streaming(stream::once(async { Err::<web::Bytes, _>(broken) }))
}
