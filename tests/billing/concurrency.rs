//! Many at the same moment, in two processes.

use futures_util::future::join_all;
use helixai::billing::metering::{Metering, MeteringError};
use helixai::domain::metering::{Reservation, ReservationState};
use helixai::domain::usage::Meter;

use super::tally::{Tally, actual, amount, exhausted, key, march};

type Outcome = Result<Reservation, MeteringError>;

/// What `count` tasks answer that begin at once, every second one in another process.
async fn at_once<F>(tally: &Tally, count: usize, task: impl Fn(Metering, usize) -> F) -> Vec<Outcome>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let second = tally.second().await;
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let platform = if number % 2 == 0 {
                &tally.test.platform
            } else {
                &second
            };
            tokio::spawn(task(platform.metering.clone(), number))
        })
        .collect();
    let answers = join_all(tasks).await;
    answers
        .into_iter()
        .map(|answer| answer.expect("no panic"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_reservations_exactly_as_many_succeed_as_the_limit_allows() {
    let tally = Tally::start(100).await;
    let tenant = tally.tenant;
    let answers = at_once(&tally, 1000, |metering, number| async move {
        let key = key(&format!("message-{number}"));
        metering.reserve(tenant, Meter::Messages, amount(1), &key).await
    })
    .await;
    let (held, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(held.len(), 100);
    for refusal in refused {
        assert_eq!(exhausted(refusal), (100, 0, 100));
    }
    assert_eq!(tally.counter(march()).await, (Some(100), 0, 100));
    tally.adds_up().await;
    // What is given back can be had again, and no more than that.
    for reservation in held.iter().take(3) {
        let key = &reservation.as_ref().expect("held").key;
        tally.metering().release(tenant, key).await.expect("released");
    }
    assert_eq!(exhausted(tally.reserve("four", 4).await), (100, 0, 97));
    tally.reserve("three", 3).await.expect("there is room");
    tally.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_fifty_times_is_one_reservation() {
    let tally = Tally::start(100).await;
    let tenant = tally.tenant;
    let answers = at_once(&tally, 50, |metering, _| async move {
        metering
            .reserve(tenant, Meter::Messages, amount(7), &key("one"))
            .await
    })
    .await;
    let first = answers
        .first()
        .expect("an answer")
        .as_ref()
        .expect("held")
        .clone();
    for answer in answers {
        assert_eq!(answer.expect("the same"), first);
    }
    assert_eq!(tally.counter(march()).await, (Some(100), 0, 7));
    // Of two meanings of a key one is right, and the other is told.
    let answers = at_once(&tally, 50, |metering, number| async move {
        let wanted = amount(1 + (number % 2) as i64);
        metering
            .reserve(tenant, Meter::Messages, wanted, &key("two"))
            .await
    })
    .await;
    let reused = |answer: &Outcome| matches!(answer, Err(MeteringError::KeyReused));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 25);
    assert_eq!(answers.iter().filter(|answer| reused(answer)).count(), 25);
    tally.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_reservation_settled_twenty_times_is_booked_once() {
    let tally = Tally::start(100).await;
    let tenant = tally.tenant;
    tally.reserve("one", 10).await.expect("held");
    let answers = at_once(&tally, 20, |metering, _| async move {
        metering.settle(tenant, &key("one"), actual(4)).await
    })
    .await;
    for answer in answers {
        let settled = answer.expect("the same");
        assert_eq!(
            (settled.state, settled.amount, settled.settled_amount),
            (ReservationState::Settled, 10, Some(4))
        );
    }
    assert_eq!(tally.counter(march()).await, (Some(100), 4, 0));
    assert!(matches!(
        tally.settle("one", 5).await,
        Err(MeteringError::Settled)
    ));
    // Who reserves again is told what has become of it.
    let again = tally.reserve("one", 10).await.expect("the same");
    assert_eq!(again.state, ReservationState::Settled);
    assert_eq!(tally.counter(march()).await, (Some(100), 4, 0));
    tally.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_settling_and_releasing_one_wins() {
    let tally = Tally::start(100).await;
    let tenant = tally.tenant;
    for number in 0..40 {
        tally.reserve(&format!("race-{number}"), 2).await.expect("held");
    }
    let answers = at_once(&tally, 160, |metering, number| async move {
        // Each key twice each way, in both processes.
        let key = key(&format!("race-{}", number / 4));
        match number % 4 {
            0 | 3 => metering.settle(tenant, &key, actual(1)).await,
            _ => metering.release(tenant, &key).await,
        }
    })
    .await;
    let mut settled = 0;
    for of_key in answers.chunks(4) {
        let outcome = |index: usize| of_key[index].as_ref().map(|reservation| reservation.state);
        match outcome(0) {
            Ok(state) => {
                assert_eq!((state, outcome(3).ok()), (ReservationState::Settled, Some(state)));
                assert!(matches!(outcome(1), Err(MeteringError::Settled)));
                assert!(matches!(outcome(2), Err(MeteringError::Settled)));
                settled += 1;
            }
            Err(error) => {
                assert!(matches!(error, MeteringError::Released), "{error}");
                assert!(matches!(outcome(3), Err(MeteringError::Released)));
                assert_eq!(outcome(1).ok(), Some(ReservationState::Released));
                assert_eq!(outcome(2).ok(), Some(ReservationState::Released));
            }
        }
    }
    assert_eq!(tally.counter(march()).await, (Some(100), settled, 0));
    tally.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_recorded_twenty_times_is_booked_once_whatever_the_limit() {
    let tally = Tally::start(5).await;
    let tenant = tally.tenant;
    let second = tally.second().await;
    let tasks = (0..20).map(|number| {
        let platform = if number % 2 == 0 {
            &tally.test.platform
        } else {
            &second
        };
        let metering = platform.metering.clone();
        tokio::spawn(async move {
            metering
                .record(tenant, Meter::Messages, amount(8), &key("one"))
                .await
        })
    });
    for answer in join_all(tasks).await {
        answer.expect("no panic").expect("booked");
    }
    assert_eq!(tally.counter(march()).await, (Some(5), 8, 0));
    let metering = tally.metering();
    for (meter, amount_of, name) in [(Meter::Messages, 9, "one"), (Meter::AiTokens, 8, "one")] {
        let reused = metering
            .record(tenant, meter, amount(amount_of), &key(name))
            .await;
        assert!(matches!(reused, Err(MeteringError::KeyReused)));
    }
    tally.adds_up().await;
}
