//! The way from one actor to another: `[[link]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::Delay;
use crate::time::Span;

/// `[[link]]`: the way from one actor to another.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The source or operator that sends.
    pub from: String,
    /// The operator or sink that receives.
    pub to: String,
    /// Reliable and in order, or as the network has it.
    #[serde(default)]
    pub kind: LinkKind,
    /// How long a packet is under way. Default: no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Datagrams: whether packets keep their order (a later one waits for the earlier one). Streams always do.
    #[serde(default)]
    pub fifo: bool,
    /// Elements per second that the link carries; more queue up before it. Default: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<f64>,
    /// Elements are sent in batches of this many …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// … or when the first of a batch has waited this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linger: Option<Span>,
    /// Streams: elements sent and not yet taken from the receiver's mailbox, at most; then the sender stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Streams: how long the sender waits for an acknowledgement before it sends again.
    #[serde(default = "default_resend")]
    pub resend: Span,
    /// What happens to elements on their way to a node that crashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_crash: Option<OnCrash>,
}

impl Link {
    /// A link without settings of its own: a stream without delay.
    pub fn plain(from: &str, to: &str) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            kind: LinkKind::Stream,
            delay: None,
            fifo: false,
            bandwidth: None,
            batch: None,
            linger: None,
            capacity: None,
            resend: default_resend(),
            on_crash: None,
        }
    }
}

/// How a link treats its elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Numbered, acknowledged, sent again: loss and disorder of packets show as delay.
    #[default]
    Stream,
    /// What the network does is what arrives: lost, twice, out of order.
    Datagram,
}

/// What happens to elements on their way to a node that crashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnCrash {
    /// They are lost. The default of datagrams.
    Lost,
    /// They wait for the next incarnation. The default of streams, whose sender keeps what was not acknowledged; what was
    /// already in the mailbox is lost all the same.
    Redirect,
}

const fn default_resend() -> Span {
    Span::from_millis(200)
}
