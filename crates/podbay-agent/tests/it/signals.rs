//! Signals that a client asks for.

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, Sig};

use crate::library::{Trusting, log_in};
use crate::support::{Agent, DEADLINE, is_alive, until};

/// A command that runs, on a channel of its own.
async fn running(session: &Handle<Trusting>, line: &str) -> Channel<Msg> {
    let channel = session.channel_open_session().await.unwrap();
    channel.exec(true, line).await.unwrap();
    channel
}

/// What comes on the channel until it closes: the output, and how the program ended.
async fn end(mut channel: Channel<Msg>) -> (String, Option<ChannelMsg>) {
    let (mut output, mut end) = (Vec::new(), None);
    let all = async {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => output.extend(&data[..]),
                ended @ (ChannelMsg::ExitSignal { .. } | ChannelMsg::ExitStatus { .. }) => end = Some(ended),
                _ => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, all).await.expect("the channel closes");
    (String::from_utf8(output).unwrap(), end)
}

fn pid_in(agent: &Agent, name: &str) -> u32 {
    until(name, || std::fs::read_to_string(agent.path(name)).ok()?.strip_suffix('\n')?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_reaches_the_whole_process_group_and_the_end_names_it() {
    let agent = Agent::start();
    let session = log_in(&agent).await;
    let (leader, member) = (agent.path("leader"), agent.path("member"));
    let line = format!(
        "sleep 1000 & echo $! > {}; echo $$ > {}; wait; echo never",
        member.display(),
        leader.display()
    );
    let channel = running(&session, &line).await;
    let pids = [pid_in(&agent, "member"), pid_in(&agent, "leader")];
    assert!(pids.into_iter().all(is_alive));
    channel.signal(Sig::TERM).await.unwrap();
    let (output, end) = end(channel).await;
    assert_eq!(output, "");
    match end {
        Some(ChannelMsg::ExitSignal {
            signal_name: Sig::TERM, core_dumped: false, error_message, ..
        }) => {
            assert_eq!(error_message, "");
        }
        other => panic!("{other:?}"),
    }
    until("the whole group to end", || pids.into_iter().all(|pid| !is_alive(pid)).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_handles_a_signal_goes_on_and_says_its_own_status() {
    let agent = Agent::start();
    let session = log_in(&agent).await;
    let line = format!(
        "trap 'echo usr1' USR1; trap 'echo int; exit 7' INT; echo $$ > {}; while :; do sleep 0.02; done",
        agent.path("pid").display()
    );
    let mut channel = running(&session, &line).await;
    let other = running(&session, "exec sleep 1000").await;
    pid_in(&agent, "pid");
    channel.signal(Sig::USR1).await.unwrap();
    // A name that no signal has changes nothing.
    channel.signal(Sig::Custom("NONSENSE".into())).await.unwrap();
    while !matches!(channel.wait().await.unwrap(), ChannelMsg::Data { data } if &data[..] == b"usr1\n") {}
    channel.signal(Sig::INT).await.unwrap();
    let (output, ended) = end(channel).await;
    assert_eq!(output, "int\n");
    assert!(matches!(ended, Some(ChannelMsg::ExitStatus { exit_status: 7 })), "{ended:?}");
    // The other channel's program was not meant; its own signal may be one without a name of the standard.
    other.signal(Sig::Custom("USR2".into())).await.unwrap();
    let (_, ended) = end(other).await;
    let Some(ChannelMsg::ExitSignal { signal_name, core_dumped: false, .. }) = ended else {
        panic!("{ended:?}");
    };
    assert!(matches!(&signal_name, Sig::Custom(name) if name == "USR2"), "{signal_name:?}");
}
