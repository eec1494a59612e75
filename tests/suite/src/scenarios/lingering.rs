//! Connections whose program has ended its sending, and that wait for what the pod still has to say.

use std::time::Duration;

use portway_driver::proto::HalfClose;
use portway_driver::{Net, Options, Runtime};

use crate::env::{Env, Opened, ms};
use crate::raw::Seen;

/// Nobody's wait ends by itself, and so many may wait.
fn patient<R: Runtime + Net>(env: &Env<R>, max: usize) -> Options {
    let long = Duration::from_secs(60);
    let policy = HalfClose::WhenIdle { unanswered: long, answered: long };
    let session = env.setup().session.with_half_close(policy);
    env.options().with_session(session).with_max_lingering(max)
}

/// One more than may wait ends the wait of the one whose pod has been silent for longest, and of no
/// other; what its program has sent arrives before the end does.
pub async fn ends_for_the_longest_silent<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(patient(env, 2)).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(env.open(&mut site).await);
    }
    for number in [0, 1] {
        let Opened { program, pod } = &mut all[number];
        program.write(b"all").await;
        program.finish().await;
        pod.expect(b"all").await;
        env.nothing_for(ms(50), pod.read()).await;
    }
    // Its pod has a word to say, so that now the other one is silent for longer.
    let Opened { program, pod } = &mut all[0];
    pod.push_data(b"wait");
    pod.pipe.flush().await.unwrap();
    program.expect(b"wait").await;
    env.pass(ms(50)).await;
    all[2].program.write(b"one too many").await;
    all[2].program.finish().await;
    let ended = env.within(ms(5_000), all[1].pod.read()).await;
    assert_eq!(ended.expect("the end of the longest silent"), Seen::End);
    all[2].pod.expect(b"one too many").await;
    for number in [0, 2] {
        env.nothing_for(ms(100), all[number].pod.read()).await;
        let Opened { program, pod } = &mut all[number];
        pod.push_data(b"the answer");
        pod.pipe.flush().await.unwrap();
        program.expect(b"the answer").await;
    }
}

/// Who has ended its wait leaves its place to another.
pub async fn leaves_a_place<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(patient(env, 1)).await;
    let mut one = env.open(&mut site).await;
    let mut other = env.open(&mut site).await;
    one.program.finish().await;
    env.nothing_for(ms(50), one.pod.read()).await;
    one.pod.push_data(b"answer");
    one.pod.push_end();
    one.pod.pipe.flush().await.unwrap();
    assert_eq!(one.program.read_to_end().await, (b"answer".to_vec(), Seen::End));
    env.eventually("one is over", || site.listening.stats().open == 1).await;
    other.program.finish().await;
    env.nothing_for(ms(100), other.pod.read()).await;
}
