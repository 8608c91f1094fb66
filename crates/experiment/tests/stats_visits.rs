//! Statistics of visits and the prior of variances against values from `SciPy` 1.17.1, `NumPy` 2.4.6 and `InMoose`
//! 0.9.1, a port of limma. `np`, `stats` and `special` are `numpy`, `scipy.stats` and `scipy.special`.

use ridgeline_experiment::stats::{
    LogRatio, RESAMPLES, VariancePrior, hierarchical_bootstrap, inverse_trigamma, log_interval, log_ratio,
    mean, median_interval, paired_variance, trigamma, unpaired_log_ratio, visit_variance,
};
use ridgeline_roofline::Measured;

const S2: [f64; 12] =
    [0.0064, 0.0021, 0.0150, 0.0007, 0.0330, 0.0049, 0.0012, 0.0890, 0.0056, 0.0003, 0.0101, 0.0038];
const PRIOR: VariancePrior = VariancePrior { df: 6.0, variance: 0.004, pooled_df: 300.0 };

fn x() -> Vec<Vec<f64>> {
    vec![vec![10.1, 10.3, 9.9, 10.2, 10.0], vec![11.2, 11.0, 11.1, 11.4, 11.3], vec![9.6, 9.8, 9.5, 9.7, 9.9]]
}

fn y() -> Vec<Vec<f64>> {
    vec![vec![8.9, 9.1, 9.0, 8.8, 9.2], vec![9.7, 9.9, 9.6, 9.8, 9.5], vec![8.7, 8.6, 8.9, 8.8, 8.5]]
}

#[track_caller]
fn near(got: f64, want: f64, relative: f64) {
    assert!((got - want).abs() <= relative * want.abs(), "got {got}, want {want}");
}

#[track_caller]
fn interval_near(got: Measured, [value, lo, hi]: [f64; 3]) {
    near(got.value, value, 1e-12);
    near(got.lo, lo, 1e-9);
    near(got.hi, hi, 1e-9);
}

#[track_caller]
fn ratio_near(got: Option<LogRatio>, interval: [f64; 3], p: f64) {
    let got = got.expect("a ratio");
    interval_near(got.interval, interval);
    near(got.p, p, 1e-8);
}

#[test]
fn trigamma_and_its_inverse_match_scipy() {
    // special.polygamma(1, x)
    let values = [
        (0.05, 401.532_357_342_115_06),
        (0.5, 4.934_802_200_544_68),
        (1.0, 1.644_934_066_848_226_6),
        (2.5, 0.490_357_756_100_234_9),
        (7.0, 0.153_545_177_959_337_56),
        (30.0, 0.033_895_060_357_739_946),
        (1e4, 0.000_100_005_000_166_666_66),
    ];
    for (at, want) in values {
        near(trigamma(at).expect("positive"), want, 1e-13);
        near(inverse_trigamma(want).expect("positive"), at, 1e-11);
    }
    // scipy.optimize.brentq(lambda v: special.polygamma(1, v) - x, 1e-3, 1e6, xtol=1e-15, rtol=1e-15)
    let inverses = [
        (0.001, 1_000.499_916_666_681_9),
        (0.2, 5.483_451_779_853_048),
        (5.0, 0.496_168_734_704_106_94),
        (400.0, 0.050_096_035_660_349_64),
    ];
    for (of, want) in inverses {
        near(inverse_trigamma(of).expect("positive"), want, 1e-11);
    }
    near(inverse_trigamma(1e8).expect("positive"), 1e-4, 1e-3);
    near(inverse_trigamma(1e-7).expect("positive"), 1e7, 1e-6);
    assert_eq!((trigamma(0.0), inverse_trigamma(0.0), inverse_trigamma(f64::NAN)), (None, None, None));
}

#[test]
fn prior_matches_limma() {
    // inmoose.limma.fitFDist(np.array(S2), np.array([2.0] * 12))
    let two = S2.map(|s2| (s2, 2.0));
    let prior = VariancePrior::fit(&two).expect("twelve variances");
    near(prior.df, 3.026_973_573_877_32, 1e-10);
    near(prior.variance, 0.005_956_853_012_005_87, 1e-12);
    assert_eq!(prior.pooled_df, 24.0);
    // inmoose.limma.fitFDist(np.array(S2), np.array([2, 2, 2, 1, 2, 2, 3, 2, 2, 1, 5, 2.0]))
    let df = [2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 3.0, 2.0, 2.0, 1.0, 5.0, 2.0];
    let mixed: Vec<_> = S2.into_iter().zip(df).collect();
    let prior = VariancePrior::fit(&mixed).expect("twelve variances");
    near(prior.df, 51.323_770_858_947_15, 1e-9);
    near(prior.variance, 0.009_008_387_999_391_07, 1e-12);
    // inmoose.limma.fitFDist(np.array([0.006, 0.005, 0.007, 0.0055, 0.0065, 0.0062]), np.array([2.0] * 6))
    let alike = [0.006, 0.005, 0.007, 0.0055, 0.0065, 0.0062].map(|s2| (s2, 2.0));
    let prior = VariancePrior::fit(&alike).expect("six variances");
    assert_eq!(prior.df, f64::INFINITY);
    near(prior.variance, 0.006_033_333_333_333_33, 1e-12);
    assert_eq!(prior.moderate(0.1, 2.0), (prior.variance, 12.0), "no more degrees than were observed");
}

#[test]
fn prior_drops_what_is_no_variance() {
    let two = S2.map(|s2| (s2, 2.0));
    let mut more = two.to_vec();
    more.extend([(0.0, 2.0), (1e-33, 2.0), (f64::NAN, 2.0), (-1.0, 2.0), (0.5, 0.0), (0.5, f64::INFINITY)]);
    assert_eq!(VariancePrior::fit(&more), VariancePrior::fit(&two));
    assert_eq!(VariancePrior::fit(&two[..1]), None);
    assert_eq!(VariancePrior::fit(&[(0.0, 2.0), (0.0, 2.0), (0.1, 2.0)]), None, "mostly zeros");
    assert_eq!(VariancePrior::fit(&[]), None);
}

#[test]
fn interval_of_a_cell_matches_scipy() {
    // m = np.log([np.median(v) for v in X]); stats.t.interval(0.95, 2, m.mean(), stats.sem(m)), then np.exp
    let plain = log_interval(&x(), None).expect("three visits");
    interval_near(plain, [10.314_235_508_340_461, 8.578_940_990_781_884, 12.400_534_545_676_534]);
    // v = (6*0.004 + 2*m.var(ddof=1)) / 8; stats.t.interval(0.95, 8, m.mean(), np.sqrt(v / 3)), then np.exp
    let moderated = log_interval(&x(), Some(PRIOR)).expect("three visits");
    interval_near(moderated, [10.314_235_508_340_461, 9.444_807_784_651_513, 11.263_697_107_144_091]);
    let (s2, df) = visit_variance(&x()).expect("three visits");
    near(PRIOR.moderate(s2, df).0, 0.004_374_790_544_655_995, 1e-12);
    // w = np.pi / 2 * np.log(X[0]).var(ddof=1) / 5
    // stats.t.interval(0.95, 6, m[0], np.sqrt(0.004 + w)), then np.exp
    let one = log_interval(&x()[..1], Some(PRIOR)).expect("one visit");
    interval_near(one, [10.1, 8.639_083_238_989_144, 11.807_965_866_055_962]);
    assert_eq!(log_interval(&x()[..1], None), median_interval(&x()[0]), "within the visit");
}

#[test]
fn ratio_of_pairs_matches_scipy() {
    // r = stats.ttest_rel(m(X), m(Y)); np.exp(r.confidence_interval(0.95)); r.pvalue
    let want = [1.130_470_441_935_424_1, 1.079_407_565_843_286, 1.183_948_918_396_977_8];
    ratio_near(log_ratio(&x(), &y(), None), want, 0.007_586_318_831_836_15);
    // d = m(X) - m(Y); v = 2 * (6*0.004 + 2*d.var(ddof=1)/2) / 8 / 3
    // stats.t.interval(0.95, 8, d.mean(), np.sqrt(v)), then np.exp; 2 * stats.t.sf(d.mean() / np.sqrt(v), 8)
    let want = [1.130_470_441_935_424_1, 1.018_942_234_421_284_4, 1.254_205_956_842_589_6];
    ratio_near(log_ratio(&x(), &y(), Some(PRIOR)), want, 0.026_142_953_379_489_2);
    // w = np.pi / 2 * (np.log(X[0]).var(ddof=1) + np.log(Y[0]).var(ddof=1)) / 5; v = 2*0.004 + w
    // stats.t.interval(0.95, 6, d[0], np.sqrt(v)), then np.exp; 2 * stats.t.sf(d[0] / np.sqrt(v), 6)
    let want = [1.122_222_222_222_222, 0.899_501_131_058_906_8, 1.400_090_197_292_823];
    ratio_near(log_ratio(&x()[..1], &y()[..1], Some(PRIOR)), want, 0.249_315_165_045_518_2);
    assert_eq!(log_ratio(&x()[..1], &y()[..1], None), None, "nothing tells the variance between visits");
}

#[test]
fn ratio_of_independent_visits_matches_scipy() {
    // r = stats.ttest_ind(m(X), m(Y), equal_var=False); np.exp(r.confidence_interval(0.95)); r.pvalue
    let want = [1.130_470_441_935_424_6, 0.969_777_963_900_141_3, 1.317_789_708_223_631];
    ratio_near(unpaired_log_ratio(&x(), &y(), None), want, 0.088_964_581_617_002_46);
    // va = (6*0.004 + 2*m(X).var(ddof=1)) / 8 / 3
    //
    // vb = (6*0.004 + m(Y[:2]).var(ddof=1)) / 7 / 2
    //
    // df = (va + vb)**2 / (va**2/8 + vb**2/7); c = m(X).mean() - m(Y[:2]).mean()
    //
    // stats.t.interval(0.95, df, c, np.sqrt(va + vb)), then np.exp; 2 * stats.t.sf(c / np.sqrt(va + vb), df)
    let want = [1.103_900_478_821_423_5, 0.974_938_184_751_621_6, 1.249_921_570_620_009_7];
    ratio_near(log_ratio(&x(), &y()[..2], Some(PRIOR)), want, 0.110_212_759_525_594_84);
    let unequal = log_ratio(&x(), &y()[..2], None);
    assert_eq!(unequal, unpaired_log_ratio(&x(), &y()[..2], None), "no pairs without equal counts");
}

#[test]
fn a_test_never_disagrees_with_its_interval() {
    let (mut inside, mut outside) = (0, 0);
    for step in 0..400 {
        let shifted: Vec<Vec<f64>> =
            y().iter().map(|it| it.iter().map(|v| v * (0.9 + 0.001 * f64::from(step))).collect()).collect();
        let endless = VariancePrior { df: f64::INFINITY, pooled_df: f64::INFINITY, ..PRIOR };
        for prior in [None, Some(PRIOR), Some(endless)] {
            for ratio in [log_ratio(&x(), &shifted, prior), unpaired_log_ratio(&x(), &shifted, prior)] {
                let LogRatio { interval, p } = ratio.expect("three visits");
                let one = interval.lo <= 1.0 && 1.0 <= interval.hi;
                assert_eq!(one, p >= 0.05, "step {step}: {interval:?}, p {p}");
                *(if one { &mut inside } else { &mut outside }) += 1;
            }
        }
    }
    assert!(inside > 100 && outside > 100, "{inside} and {outside}");
}

#[test]
fn visits_that_do_not_vary_decide_for_certain() {
    let (two, four) = (vec![vec![2.0; 3]; 3], vec![vec![4.0; 3]; 3]);
    for ratio in [log_ratio, unpaired_log_ratio] {
        let same = ratio(&two, &two, None).expect("three visits");
        assert_eq!((same.interval, same.p), (Measured::exact(1.0), 1.0));
        let half = ratio(&two, &four, None).expect("three visits");
        near(half.interval.lo, 0.5, 1e-12);
        near(half.interval.hi, 0.5, 1e-12);
        assert_eq!(half.p, 0.0);
    }
    assert!(log_ratio(&two, &four, Some(PRIOR)).expect("three visits").p > 0.0, "the prior knows better");
}

#[test]
fn impossible_visits_have_no_statistics() {
    let bad: [Vec<Vec<f64>>; 4] =
        [vec![], vec![vec![1.0], vec![]], vec![vec![1.0, 0.0]], vec![vec![1.0, f64::NAN], vec![1.0]]];
    for visits in &bad {
        for prior in [None, Some(PRIOR)] {
            assert_eq!(log_interval(visits, prior), None, "{visits:?}");
            assert_eq!(log_ratio(visits, &x(), prior), None, "{visits:?}");
            assert_eq!(log_ratio(&x(), visits, prior), None, "{visits:?}");
        }
        assert_eq!(visit_variance(visits), None);
        assert_eq!(paired_variance(visits, visits), None);
    }
    assert_eq!(log_interval(&[vec![1.0]], None), None, "one repetition");
    assert!(log_interval(&[vec![1.0]], Some(PRIOR)).is_some());
    assert_eq!(paired_variance(&x(), &y()[..2]), None);
    assert_eq!(visit_variance(&x()[..1]), None);
}

#[test]
fn hierarchical_bootstrap_matches_a_resampling_in_numpy() {
    // Z = [[10 + 0.3*i*i % 2.3 + 0.1*j for j in range(5)] for i in range(8)]
    //
    // rng = np.random.default_rng(1); pick = lambda v: np.median(rng.choice(v, 5))
    //
    // r = [np.mean([pick(Z[i]) for i in rng.integers(0, 8, 8)]) for _ in range(100000)]
    //
    // np.percentile(r, [2.5, 97.5]); the tolerance is the spread over seeds.
    let visit = |i: i32| (0..5).map(|j| 10.0 + (0.3 * f64::from(i * i)) % 2.3 + 0.1 * f64::from(j)).collect();
    let z: Vec<Vec<f64>> = (0..8).map(visit).collect();
    let got = hierarchical_bootstrap(&z, mean, RESAMPLES, 7).expect("eight visits");
    near(got.value, 10.85, 1e-12);
    near(got.lo, 10.5125, 0.002);
    near(got.hi, 11.225, 0.002);
    assert_eq!(hierarchical_bootstrap(&z, mean, 99, 3), hierarchical_bootstrap(&z, mean, 99, 3));
    assert_ne!(hierarchical_bootstrap(&z, mean, 99, 3), hierarchical_bootstrap(&z, mean, 99, 4));
    assert_eq!(hierarchical_bootstrap(&z[..1], mean, 99, 1), None);
    assert_eq!(hierarchical_bootstrap(&z, mean, 0, 1), None);
    assert_eq!(hierarchical_bootstrap(&[vec![1.0], vec![]], mean, 9, 1), None);
    assert_eq!(hierarchical_bootstrap(&z, |_: &[f64]| None, 9, 1), None);
}
