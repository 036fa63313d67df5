//! The gate between the pre-trained and the online model.

use wavetank_models::drift::{AdwinSettings, DdmSettings, DetectorSettings, Signal};
use wavetank_models::gate::{Gate, GateSettings, Reason, Served, Switch};
use wavetank_models::{ModelError, state};

/// A loss that varies a little around a mean, the same in every run.
fn around(mean: f64, index: u64) -> f64 {
    mean + [0.0, 0.03, -0.02, 0.01, -0.03, 0.02][(index % 6) as usize]
}

fn run(gate: &mut Gate, labels: std::ops::Range<u64>, pretrained: f64, online: f64) -> Vec<Switch> {
    labels
        .filter_map(|i| {
            gate.observe(around(pretrained, i), around(online, i / 2 + 1))
                .unwrap()
                .switch
        })
        .collect()
}

fn quick() -> GateSettings {
    GateSettings {
        window: 60,
        least_labels: 20,
        test_every: 5,
        in_a_row: 2,
        ..GateSettings::default()
    }
}

#[test]
fn the_pretrained_model_is_served_until_the_online_one_is_better() {
    let mut gate = Gate::new(quick()).unwrap();
    assert_eq!(gate.served(), Served::Pretrained);
    assert_eq!(run(&mut gate, 0..200, 0.2, 0.4), [], "worse is not served");
    assert_eq!(run(&mut gate, 200..400, 0.2, 0.2), [], "as good is not served");
    let switches = run(&mut gate, 400..500, 0.4, 0.2);
    assert_eq!(switches.len(), 1);
    assert_eq!(switches[0].to, Served::Online);
    let Reason::Better(evidence) = switches[0].because else {
        panic!("{switches:?}")
    };
    assert!(
        evidence.online < evidence.pretrained && evidence.at_least > 0.0,
        "{evidence:?}"
    );
    assert_eq!(evidence.labels, 60);
    assert_eq!(
        (gate.served(), gate.switches(), gate.labels()),
        (Served::Online, 1, 500)
    );
}

#[test]
fn the_first_switch_waits_for_labels_and_for_tests_in_a_row() {
    let mut gate = Gate::new(quick()).unwrap();
    let switches = run(&mut gate, 0..100, 0.9, 0.1);
    assert_eq!(
        switches[0].after_label, 25,
        "20 labels, then a second test after 5 more"
    );
    let mut patient = Gate::new(GateSettings { in_a_row: 6, ..quick() }).unwrap();
    assert_eq!(run(&mut patient, 0..100, 0.9, 0.1)[0].after_label, 45);
}

#[test]
fn a_margin_must_be_beaten_and_hysteresis_keeps_the_gate_from_swinging() {
    let wide = GateSettings {
        margin: 0.1,
        margin_back: 0.1,
        ..quick()
    };
    let mut gate = Gate::new(wide).unwrap();
    assert_eq!(
        run(&mut gate, 0..300, 0.30, 0.25),
        [],
        "better, but by less than the margin"
    );
    assert_eq!(run(&mut gate, 300..600, 0.5, 0.25).len(), 1);
    let mut swings = Vec::new();
    for round in 0..20 {
        let worse = if round % 2 == 0 { 0.05 } else { -0.05 };
        swings.extend(run(&mut gate, 0..100, 0.3, 0.3 + worse));
    }
    assert_eq!(swings, [], "differences within the two margins change nothing");
    let back = run(&mut gate, 0..200, 0.2, 0.5);
    assert_eq!((back.len(), back[0].to), (1, Served::Pretrained));
    assert!(matches!(back[0].because, Reason::Worse(e) if e.at_least > 0.1));
    let mut narrow = Gate::new(quick()).unwrap();
    run(&mut narrow, 0..100, 0.5, 0.25);
    let swings: usize = (0..20)
        .map(|round| run(&mut narrow, 0..100, 0.3, if round % 2 == 0 { 0.35 } else { 0.25 }).len())
        .sum();
    assert!(
        swings > 5,
        "without margins the same losses make the gate swing: {swings}"
    );
}

#[test]
fn a_drift_of_the_online_losses_sends_the_gate_back_at_once() {
    let drift = Some(DetectorSettings::Adwin(AdwinSettings::default()));
    let mut gate = Gate::new(GateSettings {
        drift,
        window: 500,
        ..quick()
    })
    .unwrap();
    let mut slow = Gate::new(GateSettings { window: 500, ..quick() }).unwrap();
    for gate in [&mut gate, &mut slow] {
        assert_eq!(run(gate, 0..600, 0.6, 0.1).len(), 1);
    }
    let back = run(&mut gate, 600..900, 0.6, 0.9);
    assert_eq!((back[0].to, back[0].because), (Served::Pretrained, Reason::Drift));
    let late = run(&mut slow, 600..1500, 0.6, 0.9);
    assert!(
        back[0].after_label < 700 && late[0].after_label > back[0].after_label,
        "{back:?} {late:?}"
    );
    assert_eq!(
        back.len(),
        1,
        "after a drift the evidence starts again, and the online model is worse"
    );
    assert_eq!(
        run(&mut gate, 900..1100, 0.6, 0.2)[0].to,
        Served::Online,
        "when it has recovered it is served again"
    );
}

#[test]
fn a_drift_while_the_pretrained_model_is_served_voids_the_evidence_without_a_switch() {
    let drift = Some(DetectorSettings::Ddm(DdmSettings::default()));
    let settings = GateSettings {
        drift,
        least_labels: 60,
        in_a_row: 100,
        ..quick()
    };
    let mut gate = Gate::new(settings).unwrap();
    let mut drifts = 0;
    for i in 0..400_u64 {
        let error = if i < 200 { i % 10 == 0 } else { i % 10 != 0 };
        let verdict = gate.observe(1.0, f64::from(u8::from(error))).unwrap();
        assert_eq!((verdict.switch, verdict.served), (None, Served::Pretrained));
        drifts += u32::from(verdict.signal == Signal::Drift);
    }
    assert!(drifts >= 1);
}

#[test]
fn a_new_version_of_the_pretrained_model_starts_the_counting_again() {
    let mut gate = Gate::new(quick()).unwrap();
    assert_eq!(run(&mut gate, 0..20, 0.9, 0.1), []);
    gate.pretrained_replaced();
    assert_eq!(
        run(&mut gate, 20..44, 0.9, 0.1),
        [],
        "what the old version did no longer counts"
    );
    assert_eq!(run(&mut gate, 44..60, 0.9, 0.1)[0].after_label, 45);
}

#[test]
fn a_switch_says_why_in_words() {
    let mut gate = Gate::new(quick()).unwrap();
    let mut said = Vec::new();
    for _ in 0..30 {
        said.extend(gate.observe(1.0, 0.0).unwrap().switch.map(|s| s.to_string()));
    }
    assert_eq!(
        said,
        [
            "label 25: online model served, because the online model is better by more than 1.0000 \
          with confidence 0.95 (mean loss 0.0000 against 1.0000 over 25 labels)"
        ]
    );
}

#[test]
fn a_restored_gate_decides_as_the_saved_one_would_have() {
    let drift = Some(DetectorSettings::Adwin(AdwinSettings::default()));
    let mut through = Gate::new(GateSettings { drift, ..quick() }).unwrap();
    let losses = |i: u64| match i / 150 {
        0 | 3 => (around(0.5, i), around(0.2, i + 2)),
        _ => (around(0.3, i), around(0.6, i + 1)),
    };
    let mut switched = 0;
    for i in 0..700 {
        let (pretrained, online) = losses(i);
        let mut restored: Gate = state::restore(&state::save(&through).unwrap()).unwrap();
        let verdict = through.observe(pretrained, online).unwrap();
        assert_eq!(restored.observe(pretrained, online).unwrap(), verdict);
        assert_eq!(restored, through);
        switched += u32::from(verdict.switch.is_some());
    }
    assert!(switched >= 3, "{switched}");
}

#[test]
fn losses_and_settings_that_make_no_sense_are_refused() {
    let mut gate = Gate::new(quick()).unwrap();
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        assert!(matches!(gate.observe(bad, 0.0), Err(ModelError::Value { .. })));
        assert!(matches!(gate.observe(0.0, bad), Err(ModelError::Value { .. })));
    }
    assert_eq!(gate.labels(), 0);
    let drift = Some(DetectorSettings::Ddm(DdmSettings::default()));
    let mut strict = Gate::new(GateSettings { drift, ..quick() }).unwrap();
    let before = strict.clone();
    assert!(
        matches!(strict.observe(0.5, 0.5), Err(ModelError::Value { .. })),
        "DDM takes 0 and 1 only"
    );
    assert_eq!(strict, before);
    for settings in [
        GateSettings {
            confidence: 0.5,
            ..quick()
        },
        GateSettings {
            confidence: 1.0,
            ..quick()
        },
        GateSettings {
            least_labels: 61,
            ..quick()
        },
        GateSettings {
            margin: -0.1,
            ..quick()
        },
        GateSettings {
            test_every: 0,
            ..quick()
        },
        GateSettings { in_a_row: 0, ..quick() },
    ] {
        assert!(
            matches!(Gate::new(settings), Err(ModelError::Setting { .. })),
            "{settings:?}"
        );
    }
    let mut huge = Gate::new(quick()).unwrap();
    for i in 0..100_u64 {
        assert_eq!(
            huge.observe(if i % 2 == 0 { f64::MAX } else { 0.0 }, 0.0)
                .unwrap()
                .switch,
            None
        );
    }
}
