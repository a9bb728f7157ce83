//! What the resolver knows, and the proof that it never keeps an outdated answer.
//!
//! The race: a request loads a tenant, the tenant is suspended, the notice arrives, and only then the load stores its
//! old answer. So a notice first raises the generation and then drops the name; a load notes the generation before
//! its `select` and stores only if it is unchanged, both under one lock. Loads of the same name and generation are
//! one load; a request that begins after a notice never joins a load from before it.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use lru::LruCache;

/// A shared load: every caller that joined it gets a clone of the answer.
type Load<V, E> = Shared<BoxFuture<'static, Result<V, E>>>;

/// Answers by name, bounded, with an expiry for those that say "there is none".
pub struct Cache<V: Clone, E: Clone> {
    state: Arc<Mutex<State<V, E>>>,
}

struct State<V: Clone, E: Clone> {
    generation: u64,
    /// Until this moment the listener is known to hear; after it nothing stored is believed.
    believed_until: Option<Instant>,
    entries: LruCache<String, (V, Option<Instant>)>,
    loads: HashMap<(String, u64), Load<V, E>>,
}

/// Hits and misses count for the metrics of the resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer was stored.
    Hit,
    /// It was loaded, alone or together with others.
    Miss,
}

impl<V, E> Cache<V, E>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// Empty, and not believed before the first [`Cache::believe`].
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                generation: 0,
                believed_until: None,
                entries: LruCache::new(capacity),
                loads: HashMap::new(),
            })),
        }
    }

    /// The stored answer, or the one that `load` finds. `keep` says how long an answer may be stored
    /// (`None`: until a notice).
    ///
    /// # Errors
    /// What `load` fails with; failures are not stored.
    pub async fn get_or_load<F>(
        &self,
        name: &str,
        load: impl FnOnce() -> F,
        keep: impl Fn(&V) -> Option<Duration> + Send + Sync + 'static,
    ) -> (Outcome, Result<V, E>)
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let joined = {
            let mut state = self.lock();
            if let Some(value) = state.stored(name) {
                return (Outcome::Hit, Ok(value));
            }
            if state.is_believed() {
                let key = (name.to_owned(), state.generation);
                Ok(match state.loads.get(&key) {
                    Some(running) => running.clone(),
                    None => {
                        let running = self.start(key.clone(), load(), keep);
                        state.loads.insert(key, running.clone());
                        running
                    }
                })
            } else {
                // Without notices even a running load may be too old to join.
                Err(load)
            }
        };
        let result = match joined {
            Ok(running) => running.await,
            Err(load) => load().await,
        };
        (Outcome::Miss, result)
    }

    fn start<F>(
        &self,
        key: (String, u64),
        load: F,
        keep: impl Fn(&V) -> Option<Duration> + Send + Sync + 'static,
    ) -> Load<V, E>
    where
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let store = Arc::clone(&self.state);
        // Spawned, so that a caller who gives up does not leave the others waiting for a load that nobody polls.
        let task = tokio::spawn(async move {
            let ending = Ending {
                state: Arc::clone(&store),
                key: key.clone(),
            };
            let result = load.await;
            let mut state = store.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Ok(value), true) = (&result, state.generation == key.1) {
                let until = keep(value).map(|time| Instant::now() + time);
                state.entries.put(key.0.clone(), (value.clone(), until));
            }
            drop(state);
            drop(ending);
            result
        });
        async move {
            match task.await {
                Ok(result) => result,
                // Only a panic ends the task early; it is raised again in whoever waits.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        .boxed()
        .shared()
    }

    /// A notice about `name`: whatever is being loaded will not be stored, what is stored is dropped.
    pub fn drop_name(&self, name: &str) {
        let mut state = self.lock();
        state.generation += 1;
        state.entries.pop(name);
    }

    /// As [`Cache::drop_name`], for every stored answer that `concerns` the change.
    pub fn drop_where(&self, concerns: impl Fn(&V) -> bool) {
        let mut state = self.lock();
        state.generation += 1;
        let names: Vec<String> = state
            .entries
            .iter()
            .filter(|(_, (value, _))| concerns(value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            state.entries.pop(&name);
        }
    }

    /// A notice that may concern everything, or a gap in which notices may have been missed.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.entries.clear();
    }

    /// The listener has just been heard: stored answers may be used for another `time`.
    pub fn believe(&self, time: Duration) {
        self.lock().believed_until = Some(Instant::now() + time);
    }

    /// The listener is gone: nothing stored is used until [`Cache::believe`].
    pub fn doubt(&self) {
        self.lock().believed_until = None;
    }

    /// How many answers are stored.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State<V, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone, E: Clone> State<V, E> {
    fn is_believed(&self) -> bool {
        self.believed_until.is_some_and(|until| Instant::now() < until)
    }

    fn stored(&mut self, name: &str) -> Option<V> {
        if !self.is_believed() {
            return None;
        }
        let now = Instant::now();
        match self.entries.get(name) {
            Some((_, Some(until))) if now >= *until => {
                self.entries.pop(name);
                None
            }
            Some((value, _)) => Some(value.clone()),
            None => None,
        }
    }
}

/// Takes a load off the list when it ends, however it ends.
struct Ending<V: Clone, E: Clone> {
    state: Arc<Mutex<State<V, E>>>,
    key: (String, u64),
}

impl<V: Clone, E: Clone> Drop for Ending<V, E> {
    fn drop(&mut self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .loads
            .remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    type TestCache = Cache<&'static str, &'static str>;

    fn cache() -> TestCache {
        let cache = Cache::new(NonZeroUsize::MIN.saturating_add(9));
        cache.believe(Duration::from_secs(60));
        cache
    }

    async fn get(cache: &TestCache, answer: &'static str) -> (Outcome, Result<&'static str, &'static str>) {
        cache
            .get_or_load("a", move || async move { Ok(answer) }, |_| None)
            .await
    }

    #[tokio::test]
    async fn a_load_from_before_a_notice_is_neither_stored_nor_joined() {
        let cache = Arc::new(cache());
        let (release, held) = oneshot::channel::<()>();
        let early = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move {
                let load = || async move {
                    held.await.map_err(|_| "gone")?;
                    Ok("active")
                };
                cache.get_or_load("a", load, |_| None).await.1
            }
        });
        while cache.lock().loads.is_empty() {
            tokio::task::yield_now().await;
        }
        cache.drop_name("a");
        // Begun after the notice: must not join the early load, which is still running.
        assert_eq!(get(&cache, "suspended").await, (Outcome::Miss, Ok("suspended")));
        assert!(release.send(()).is_ok());
        assert_eq!(early.await.ok(), Some(Ok("active")));
        // The early load ended last and must not have overwritten the later answer.
        assert_eq!(get(&cache, "unused").await, (Outcome::Hit, Ok("suspended")));
    }

    #[tokio::test]
    async fn many_callers_are_one_load_and_one_that_gives_up_does_not_end_it() {
        let cache = Arc::new(cache());
        let loads = Arc::new(AtomicUsize::new(0));
        let call = || {
            let (cache, loads) = (Arc::clone(&cache), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = move || async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok("active")
                };
                cache.get_or_load("a", load, |_| None).await.1
            })
        };
        let first = call();
        while cache.lock().loads.is_empty() {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..50).map(|_| call()).collect();
        first.abort();
        for other in others {
            assert_eq!(other.await.ok(), Some(Ok("active")));
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert!(cache.lock().loads.is_empty());
    }

    #[tokio::test]
    async fn nothing_stored_is_used_when_the_listener_is_not_heard() {
        let cache = cache();
        get(&cache, "one").await.1.ok();
        assert_eq!(get(&cache, "two").await, (Outcome::Hit, Ok("one")));
        cache.doubt();
        assert_eq!(get(&cache, "three").await, (Outcome::Miss, Ok("three")));
        cache.clear();
        cache.believe(Duration::ZERO);
        get(&cache, "four").await.1.ok();
        assert_eq!(get(&cache, "five").await, (Outcome::Miss, Ok("five")));
    }
}
