-- The people of a large company and what they earned. All values follow from row numbers.
CREATE SCHEMA staff;
SET search_path = staff;
CREATE TYPE gender AS ENUM ('M', 'F', 'X');
CREATE TABLE department (dept_no char(4) PRIMARY KEY, dept_name varchar(40) NOT NULL UNIQUE);
INSERT INTO department SELECT 'd' || to_char(n, 'FM000'), 'Department ' || n FROM generate_series(1, 9) n;
CREATE TABLE employee (
    emp_no integer PRIMARY KEY,
    birth_date date NOT NULL,
    first_name varchar(14) NOT NULL,
    last_name varchar(16) NOT NULL,
    gender gender NOT NULL,
    hire_date date NOT NULL
);
INSERT INTO employee
SELECT 10000 + n, date '1952-02-01' + n * 31 % 4700, 'Given' || n % 1275, 'Family' || n * 13 % 1637,
    (enum_range(null::gender))[1 + n % 3], date '1985-01-01' + n * 17 % 5400
FROM generate_series(1, 30000) n;
CREATE TABLE salary (
    emp_no integer NOT NULL,
    salary integer NOT NULL,
    from_date date NOT NULL,
    to_date date NOT NULL,
    PRIMARY KEY (emp_no, from_date)
);
INSERT INTO salary
SELECT 10000 + n, 38000 + (n * 7919 + y * 1409) % 90000, date '1986-06-26' + n % 365 + y * 365,
    CASE WHEN y = 8 THEN date '9999-01-01' ELSE date '1986-06-26' + n % 365 + y * 365 + 365 END
FROM generate_series(1, 30000) n, generate_series(0, 8) y;
CREATE TABLE title (
    emp_no integer NOT NULL,
    title varchar(50) NOT NULL,
    from_date date NOT NULL,
    to_date date
);
INSERT INTO title
SELECT 10000 + n, (ARRAY['Engineer', 'Senior Engineer', 'Staff', 'Technique Leader'])[1 + (n + t) % 4],
    date '1990-01-01' + n % 700 + t * 800, CASE WHEN t = 0 THEN date '1990-01-01' + n % 700 + 800 END
FROM generate_series(1, 30000) n, generate_series(0, 1) t WHERE (n + t) % 5 > 0;
CREATE TABLE dept_emp (
    emp_no integer NOT NULL,
    dept_no char(4) NOT NULL,
    from_date date NOT NULL,
    to_date date NOT NULL,
    PRIMARY KEY (dept_no, emp_no)
);
INSERT INTO dept_emp
SELECT 10000 + n, 'd' || to_char(1 + n % 9, 'FM000'), date '1986-01-01' + n % 3000, date '9999-01-01'
FROM generate_series(1, 30000) n;
CREATE VIEW current_title AS
SELECT e.emp_no, e.first_name || ' ' || e.last_name AS name, t.title
FROM employee e JOIN title t USING (emp_no) WHERE t.to_date IS NULL;
ANALYZE;
