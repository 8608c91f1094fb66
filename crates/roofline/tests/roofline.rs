//! The roofline arithmetic, compared with numbers computed by hand or printed in the studies.

use ridgeline_roofline::{
    Bandwidth, Bound, Cost, Curve, Error, Machine, Measured, Overheads, Part, PeakKind, PeakQuantity,
    Precision, PublishedMachine, Regime, RooflinePoint, Sample, Side, Waterfall, check_floor,
};

fn curve(points: &[(u64, f64)]) -> Curve {
    let sample = |&(bytes, value): &(u64, f64)| Sample {
        bytes,
        rate: Measured { value, lo: value * 0.9, hi: value * 1.1 },
    };
    Curve::new(points.iter().map(sample).collect()).expect("the points of a test are valid")
}

/// A 1 MB cache at 400 GB/s, memory at 100 GB/s from 16 MB on, 1 TFLOP/s, 2 TFLOP/s in 16 bits.
fn machine() -> Machine {
    let steps = [(1 << 20, 400e9), (1 << 24, 100e9)];
    let slower = [(1 << 20, 300e9), (1 << 24, 90e9)];
    Machine {
        name: "two levels".to_owned(),
        bandwidth: Bandwidth { read: curve(&steps), copy: curve(&slower), triad: curve(&slower) },
        flops_f32: Measured { value: 1e12, lo: 0.9e12, hi: 1.25e12 },
        flops_f16: Some(Measured::exact(2e12)),
        overheads: Overheads {
            launch_s: Measured::exact(5e-6),
            submission_s: Measured::exact(20e-6),
            synchronisation_s: Measured::exact(30e-6),
            readback_s: Measured::exact(40e-6),
        },
    }
}

#[test]
fn curve_is_straight_in_logs_and_flat_beyond_its_ends() {
    let c = curve(&[(1 << 20, 400e9), (1 << 24, 100e9)]);
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} against {b}");
    close(c.at(1).value, 400e9);
    close(c.at(1 << 20).value, 400e9);
    close(c.at(1 << 22).value, 200e9);
    close(c.at(1 << 22).lo, 180e9);
    close(c.at(1 << 40).value, 100e9);
    close(c.upper(1 << 22), 440e9);
    close(c.upper(1 << 24), 110e9);
    let mut last = f64::INFINITY;
    for bytes in (0..200).map(|i| (1 << 20) + i * 80_000) {
        let now = c.at(bytes).value;
        assert!(now <= last, "the curve rises at {bytes}");
        last = now;
    }
}

#[test]
fn curves_that_cannot_be_looked_up_are_refused() {
    let s = |bytes, value| Sample { bytes, rate: Measured::exact(value) };
    assert!(matches!(Curve::new(vec![]), Err(Error::EmptyCurve)));
    assert!(matches!(
        Curve::new(vec![s(2, 1.0), s(2, 1.0)]),
        Err(Error::UnsortedCurve { previous: 2, next: 2 })
    ));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Curve::new(vec![s(1, bad)]), Err(Error::BadCeiling { .. })), "{bad} was accepted");
    }
    assert!(serde_json::from_str::<Curve>("[]").is_err(), "an empty curve was read back");
}

#[test]
fn each_memory_level_has_its_own_bandwidth() {
    let m = machine();
    let cost = Cost { weights: 800_000, kv_read: 150_000, kv_write: 50_000, ..Cost::ZERO };
    let small = m.predict(&cost, 1 << 20);
    assert!((small.memory_s - 1e6 / 400e9).abs() < 1e-18, "a cached model moves at its cache's bandwidth");
    let large = m.predict(&cost, 1 << 24);
    assert!((large.memory_s - 1e6 / 100e9).abs() < 1e-18);
    assert!((large.floor_s - 1e6 / 110e9).abs() < 1e-18, "the floor uses the upper end of the interval");
    let act = Cost { activation_read: 1_000_000, ..Cost::ZERO };
    let p = m.predict(&act, Regime::new(1 << 24).scratch(1 << 20));
    assert!((p.memory_s - 1e6 / 400e9).abs() < 1e-18, "activations stay in the cache that holds them");
}

#[test]
fn bound_names_the_largest_part_and_launches_stay_out_of_the_floor() {
    let m = machine();
    let bytes = Cost { weights: 100_000_000, flops: 1_000_000, launches: 1, ..Cost::ZERO };
    assert_eq!(m.predict(&bytes, 1 << 30).bound, Bound::Memory);
    let flops = Cost { weights: 1000, flops: 10_000_000_000, launches: 1, ..Cost::ZERO };
    let p = m.predict(&flops, 1 << 30);
    assert_eq!(p.bound, Bound::Compute);
    assert!((p.compute_s - 5e-3).abs() < 1e-15, "the faster of the two peaks counts");
    let f32 = m.predict(&flops, Regime::new(1 << 30).precision(Precision::F32));
    assert!((f32.compute_s - 10e-3).abs() < 1e-15);
    assert!((f32.floor_s - 8e-3).abs() < 1e-15);
    let launches = Cost { weights: 1000, launches: 200, ..Cost::ZERO };
    let p = m.predict(&launches, 1 << 30);
    assert_eq!(p.bound, Bound::Launch);
    assert!(p.floor_s < 1e-7 && (p.explained_s - (1e-3 + 90e-6 + 1e-8)).abs() < 1e-12);
    let host =
        m.predict(&Cost { weights: 1000, launches: 1, ..Cost::ZERO }, Regime::new(1 << 30).submissions(3));
    assert_eq!(host.bound, Bound::Host);
    assert!((host.host_s - 270e-6).abs() < 1e-15);
}

#[test]
fn utilisations_are_shares_of_the_measured_time() {
    let p = machine().predict(&Cost { weights: 100_000_000, flops: 200_000_000, ..Cost::ZERO }, 1 << 30);
    assert!((p.mbu(2e-3) - 0.5).abs() < 1e-12);
    assert!((p.mfu(2e-3) - 0.05).abs() < 1e-12);
    assert!((p.roof_fraction(2e-3) - 0.5).abs() < 1e-12);
}

#[test]
fn floor_allows_a_third_and_no_more() {
    assert_eq!(check_floor(1.0, 1.0), Ok(()));
    assert_eq!(check_floor(0.667, 1.0), Ok(()));
    let beaten = check_floor(0.66, 1.0).expect_err("more than a third is too much");
    assert!((beaten.excess() - 0.34).abs() < 1e-12);
    assert!(beaten.to_string().contains("34.0 %"), "{beaten}");
    assert!(check_floor(f64::NAN, 1.0).is_err(), "a clock that returns no number must not pass");
}

#[test]
fn waterfall_sums_exactly_and_unexplained_is_signed() {
    let m = machine();
    let cost = Cost {
        weights: 123_456_789,
        kv_read: 1_234_567,
        activation_write: 98_765,
        flops: 1,
        launches: 77,
        ..Cost::ZERO
    };
    for measured in [1.7e-3, 1e-4, 0.123_456_789_123] {
        let w = Waterfall::of(&cost, &m, measured, Regime::new(1 << 30).submissions(2));
        #[expect(clippy::cast_possible_truncation, reason = "small test values")]
        let ns = (measured * 1e9).round() as i64;
        assert_eq!(w.total_ns(), ns);
        assert_eq!(w.launches_ns, 385_000);
        assert_eq!(w.host_ns, 180_000);
        assert_eq!(w.weights_ns, 1_234_568);
        assert_eq!(w.parts().map(|p| p.0), Part::ALL);
    }
    assert!(
        Waterfall::of(&cost, &m, 1e-4, 1 << 30).unexplained_ns < 0,
        "overlap makes the unexplained time negative"
    );
    let busy = Cost { weights: 100_000, flops: 4_000_000_000, ..Cost::ZERO };
    let w = Waterfall::of(&busy, &m, 3e-3, 1 << 30);
    assert_eq!((w.weights_ns, w.compute_ns, w.host_ns), (1000, 1_999_000, 90_000));
}

#[test]
fn a_waterfall_tells_inefficiency_from_unexplained_time() {
    let m = machine();
    let cost = Cost { weights: 100_000_000, launches: 10, ..Cost::ZERO };
    let whole = Waterfall::of(&cost, &m, 4e-3, Regime::new(1 << 30).submissions(1));
    let (weights, launches, host) = (whole.weights_ns, whole.launches_ns, whole.host_ns);
    assert_eq!((weights, launches, host), (1_000_000, 50_000, 90_000));
    let split = whole.with_kernels(3.05e-3, 3.35e-3);
    assert_eq!(
        (split.inefficiency_ns, split.in_sequence_ns, split.total_ns()),
        (2_000_000, 300_000, 4_000_000)
    );
    assert_eq!(split.unexplained_ns, 560_000);
    // Weights, launches and host are explained. Inefficiency and the in-sequence penalty are accounted for.
    assert!((split.explained() - 0.285).abs() < 1e-9, "{}", split.explained());
    assert!((split.accounted() - 0.86).abs() < 1e-9, "{}", split.accounted());
    let quick = whole.with_kernels(1.02e-3, 1.02e-3);
    assert_eq!((quick.launches_ns, quick.inefficiency_ns, quick.total_ns()), (20_000, 0, 4_000_000));
    let impossible = whole.with_kernels(0.5e-3, 0.5e-3);
    assert_eq!((impossible.launches_ns, impossible.weights_ns), (0, 1_000_000), "traffic does not change");
    assert_eq!(impossible.in_sequence_ns, -500_000, "a shorter time means overlap");
    let step = split.shared_by(3);
    assert_eq!((step.total_ns(), step.inefficiency_ns, step.in_sequence_ns), (1_333_333, 666_666, 100_000));
    assert_eq!(step.unexplained_ns, 1_333_333 - 333_333 - 16_666 - 30_000 - 666_666 - 100_000);
}

#[test]
fn ridge_and_crossover_match_the_printed_constants() {
    let m3 = Machine::flat("Apple M3 Ultra", 819e9, 30e12).expect("positive numbers");
    let ridge = m3.ridge(1 << 32, Precision::Fastest);
    assert!((ridge - 36.63).abs() < 0.005, "{ridge}");
    let single: f64 = 2.0 * 7.0 / 4.08;
    assert!((single - 3.43).abs() < 0.005 && (ridge / single - 10.7).abs() < 0.05);
    assert!((m3.attainable(1.0, 1, Precision::F32) - 819e9).abs() < 1.0);
    assert!((m3.attainable(1e3, 1, Precision::F32) - 30e12).abs() < 1.0);
    assert!(Machine::flat("none", 0.0, 1.0).is_err());
}

#[test]
fn potential_is_the_distance_to_the_ridge() {
    let point = |intensity, flops_per_s| RooflinePoint {
        intensity,
        flops_per_s,
        peak_flops_per_s: 5e9,
        bytes_per_s: 1e9,
    };
    let left = point(2.0, 1e9).potential();
    assert_eq!(left.side, Side::MemoryBound);
    assert!((left.phi_gflops - 5.0).abs() < 1e-12, "a 3-4-5 triangle");
    assert!((left.headroom - 2.0).abs() < 1e-12);
    let expected = (2.5_f64.ln().powi(2) + 5.0_f64.ln().powi(2)).sqrt();
    assert!((left.phi_log - expected).abs() < 1e-12);
    let right = point(10.0, 4e9).potential();
    assert_eq!(right.side, Side::ComputeBound);
    assert!((right.phi_gflops - 1.0).abs() < 1e-12 && (right.headroom - 1.25).abs() < 1e-12);
    let at_ridge = point(5.0 - 1e-12, 4e9).potential();
    assert!((at_ridge.phi_gflops - 1.0).abs() < 1e-9, "Φ is continuous at the ridge");
}

#[test]
fn machine_survives_json_bit_for_bit() {
    let mut m = machine();
    m.overheads.launch_s = Measured { value: 0.1 + 0.2, lo: 1.0 / 3.0, hi: 6.02e23 };
    let text = serde_json::to_string(&m).expect("a machine is plain data");
    assert_eq!(serde_json::from_str::<Machine>(&text).expect("what was written can be read"), m);
    let w = Waterfall::of(&Cost { weights: 9, ..Cost::ZERO }, &m, 1.0, 1);
    let text = serde_json::to_string(&w).expect("plain data");
    assert_eq!(serde_json::from_str::<Waterfall>(&text).expect("readable"), w);
}

#[test]
fn published_peaks_have_locators_and_the_printed_ridges() {
    let all = PublishedMachine::all().expect("the files parse");
    assert_eq!(all.len(), 10);
    for peak in all.iter().flat_map(|m| &m.peak) {
        assert!(!peak.source.is_empty() && !peak.locator.is_empty());
        assert!(peak.value > 1e9 && peak.value < 1e14, "{} looks like a wrong unit", peak.value);
    }
    // RB-T1b prints these from the specified f32 peak and bandwidth.
    for (name, ridge) in [
        ("NVIDIA RTX 3090", 38.00),
        ("NVIDIA RTX 3070 Ti Laptop", 37.05),
        ("Apple M1 Pro", 25.39),
        ("Jetson Orin Nano Super 8G", 20.48),
        ("Raspberry Pi 5", 8.98),
    ] {
        let m = all.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        let peak = m.get(PeakQuantity::FlopsF32, PeakKind::Specified).expect("given");
        let bandwidth = m.get(PeakQuantity::Bandwidth, PeakKind::Specified).expect("given");
        assert!((peak / bandwidth - ridge).abs() < 0.011, "{name}: {}", peak / bandwidth);
    }
}
