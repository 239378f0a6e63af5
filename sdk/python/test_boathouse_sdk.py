"""What the SDK for Python promises. Run by `python -m unittest` in this folder."""

import unittest
from types import SimpleNamespace

from boathouse_sdk import Chance, Knob, Objective, Trial, fronts, journal, table_of, trials_of


class Fronts(unittest.TestCase):
    def test_nothing_one_and_equals(self):
        self.assertEqual(fronts([]), [])
        self.assertEqual(fronts([(1.0,)]), [0])
        self.assertEqual(fronts([(1, 1), (1, 1), (2, 1)]), [0, 0, 1])
        self.assertEqual(fronts([(-0.0, 2.0), (0.0, 1.0)]), [1, 0])

    def test_one_better_aim_is_enough_to_stay_on_the_front(self):
        points = [(-0.99, 900, 9), (-0.90, 300, 9), (-0.80, 400, 5), (-0.80, 500, 9)]
        self.assertEqual(fronts(points), [0, 0, 0, 1])

    def test_a_chain_has_as_many_fronts_as_points(self):
        self.assertEqual(fronts([(n, n) for n in range(9, -1, -1)]), list(range(9, -1, -1)))


class Draws(unittest.TestCase):
    def test_chance_is_the_same_as_in_the_other_languages(self):
        chance = Chance(1_234_567)
        self.assertEqual(
            [chance.bits() for _ in range(3)],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423],
        )

    def test_knobs_stay_on_their_grid(self):
        knob = Knob("m", 4, 17, 4)
        self.assertEqual([knob.moved(8, 1), knob.moved(8, -1), knob.moved(4, -1), knob.moved(99, 0)], [12, 4, 4, 16])
        chance = Chance(3)
        self.assertEqual({knob.draw(chance) for _ in range(100)}, {4, 8, 12, 16})


class Contract(unittest.TestCase):
    def test_an_objective_is_met_when_no_bound_is_broken(self):
        trial = journal([(0.96, 300.0, 1000)])[0]
        self.assertTrue(Objective(p95_budget_us=300.0, memory_cap_bytes=1000).is_met_by(trial))
        for broken in [Objective(0.956), Objective(p95_budget_us=299.0), Objective(memory_cap_bytes=999)]:
            self.assertFalse(broken.is_met_by(trial))

    def test_a_journal_by_columns_becomes_rows(self):
        rows = journal([(0.9, 100.0, 1), (0.95, 200.0, 2)])
        by_column = {name: [getattr(row, name) for row in rows] for name in Trial._fields[1:]}
        settings = [value for row in rows for value in row.settings]
        given = SimpleNamespace(count=2, knobs=["m", "efc", "efs"], settings=settings, **by_column)
        self.assertEqual(trials_of(given), rows)

    def test_offsets_of_values_count_bytes(self):
        column = SimpleNamespace(
            name="c", values="Zoë名", offsets=[0, 4, 4, 7], counts=[2, 1, 3], declared_type="Utf8", rows=6, nulls=0
        )
        table = table_of(SimpleNamespace(name="t", columns=[column]))
        self.assertEqual(table.columns[0].values, [("Zoë", 2), ("", 1), ("名", 3)])


if __name__ == "__main__":
    unittest.main()
