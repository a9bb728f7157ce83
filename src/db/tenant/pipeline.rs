//! Statements that are all on their way before the first answer is awaited.
//!
//! A `tokio-postgres` future writes its messages when it is first polled, so polling in order sends in order.
//! Only prepared statements and typed queries do that; anything else would wait in between and bind after the
//! commit. Nothing outside this file starts a statement.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, RowStream, Statement as Prepared};

use super::query::{Answer, Param, Statement};

/// One message of a pipeline.
pub(super) enum Step<'a> {
    /// `begin`, `commit`, `rollback`.
    Control(&'static str),
    /// A statement sent unprepared.
    Typed(&'a Statement),
    /// A statement that this connection has prepared.
    Prepared(Prepared, &'a Statement),
    /// Prepares a statement for its next use.
    Prepare(&'a Statement),
}

/// What came of a step.
pub(super) enum Done {
    Nothing,
    Answer(Answer),
    Prepared(Prepared),
}

type StepFuture<'a> = Pin<Box<dyn Future<Output = Result<Done, Error>> + Send + 'a>>;

enum Slot<'a> {
    Running(StepFuture<'a>),
    Done(Result<Done, Error>),
}

/// Sends all steps, then waits for all of them. The results are in the order of the steps.
///
/// Dropping the future leaves the outcome unknown: the server may still commit.
pub(super) async fn send(client: &ClientWrapper, steps: Vec<Step<'_>>) -> Vec<Result<Done, Error>> {
    let mut slots: Vec<Slot<'_>> = steps
        .into_iter()
        .map(|step| Slot::Running(start(client, step)))
        .collect();
    let mut all = pin!(poll_fn(|context| {
        let mut pending = false;
        for slot in &mut slots {
            if let Slot::Running(future) = slot {
                match future.as_mut().poll(context) {
                    Poll::Ready(result) => *slot = Slot::Done(result),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    }));
    all.as_mut().await;
    slots
        .into_iter()
        .filter_map(|slot| match slot {
            Slot::Done(result) => Some(result),
            Slot::Running(_) => None,
        })
        .collect()
}

fn start<'a>(client: &'a ClientWrapper, step: Step<'a>) -> StepFuture<'a> {
    match step {
        Step::Control(text) => Box::pin(async move {
            client.batch_execute(text).await?;
            Ok(Done::Nothing)
        }),
        Step::Typed(statement) => Box::pin(async move {
            let params = statement
                .params
                .iter()
                .map(|(value, kind)| (borrow(value.as_ref()), kind.clone()));
            answer(client.query_typed_raw(statement.text, params).await?).await
        }),
        Step::Prepared(prepared, statement) => Box::pin(async move {
            let params = statement.params.iter().map(|(value, _)| borrow(value.as_ref()));
            answer(client.query_raw(&prepared, params).await?).await
        }),
        Step::Prepare(statement) => Box::pin(async move {
            let types: Vec<Type> = statement.params.iter().map(|(_, kind)| kind.clone()).collect();
            Ok(Done::Prepared(
                client.prepare_typed(statement.text, &types).await?,
            ))
        }),
    }
}

fn borrow<'a>(value: &'a (dyn ToSql + Sync + Send + 'static)) -> &'a (dyn ToSql + Sync) {
    value
}

async fn answer(stream: RowStream) -> Result<Done, Error> {
    let mut stream = pin!(stream);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        rows.push(row);
    }
    let affected = stream.rows_affected().unwrap_or_default();
    Ok(Done::Answer(Answer { rows, affected }))
}

/// Binds a value outside of a [`super::Query`], for the scope's own statements.
pub(super) fn param(value: impl super::query::SqlValue) -> Param {
    super::query::typed(value)
}
