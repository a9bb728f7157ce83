//! The id of the request being served, for whoever needs it far from the handler: error documents, audit rows, calls to
//! other services.
//!
//! The HTTP layer wraps each request in [`scope`]; work that a request starts on another task carries the id over by
//! wrapping itself again. Logs take it from the span field [`super::REQUEST_ID_FIELD`] instead.

use std::future::Future;

use crate::domain::ids::RequestId;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// Runs `work` with `id` as the current request's.
pub async fn scope<F: Future>(id: RequestId, work: F) -> F::Output {
    CURRENT.scope(id, work).await
}

/// The id of the request being served, or `None` outside of one.
#[must_use]
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(|id| *id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_request_sees_its_own_id() {
        assert_eq!(current(), None);
        let seen = |id: RequestId| {
            scope(id, async move {
                tokio::task::yield_now().await;
                current()
            })
        };
        let (a, b) = (RequestId::new(), RequestId::new());
        assert_eq!(tokio::join!(seen(a), seen(b)), (Some(a), Some(b)));
        assert_eq!(
            scope(a, async { tokio::spawn(async { current() }).await.unwrap() }).await,
            None
        );
    }
}
