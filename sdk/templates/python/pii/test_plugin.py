"""The plugin's logic, without a component around it."""

import unittest

from boathouse_sdk import Column, Table
from plugin import detect


class Detection(unittest.TestCase):
    def test_employee_numbers_are_found_and_order_numbers_are_not(self):
        orders = [(value, 1) for value in ("E12", "X000123", "E1234567", "000123")]
        people = [(value, 1) for value in ("E000123", "E000124", "E999999", "unknown")]
        findings = detect(Table("t", [Column("order", orders), Column("employee", people)]))
        self.assertEqual([(finding.column, finding.matched) for finding in findings], [(1, 3)])
        self.assertTrue(0 <= findings[0].confidence <= 1)


if __name__ == "__main__":
    unittest.main()
