//! Waiting for something while what is under way goes on.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// Waits for `work` and looks at what is `under_way` meanwhile: one of it may have been given what it waits for, a connection or a turn, and
/// keeps it from everybody, `work` too, until it is looked at. What ends is added to `ended`.
pub(super) async fn meanwhile<F: Future, T>(
    under_way: &mut FuturesUnordered<F>,
    ended: &mut Vec<F::Output>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(one) = under_way.next() => ended.push(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use futures_util::StreamExt as _;
    use futures_util::stream::FuturesUnordered;
    use tokio::sync::Semaphore;

    use super::meanwhile;

    #[tokio::test]
    async fn what_was_given_to_one_that_is_under_way_is_given_back() {
        let permits = Semaphore::new(0);
        let take = || async { permits.acquire().await.map(drop).is_ok() };
        let (mut under_way, mut ended) = (FuturesUnordered::new(), Vec::new());
        under_way.push(take());
        // It stands first in the queue, and what is waited for second.
        let waits = poll_fn(|context| Poll::Ready(under_way.poll_next_unpin(context).is_pending()));
        assert!(waits.await);
        let work = async {
            permits.add_permits(1);
            take().await
        };
        assert!(meanwhile(&mut under_way, &mut ended, work).await);
        assert_eq!(ended, [true]);
    }
}
