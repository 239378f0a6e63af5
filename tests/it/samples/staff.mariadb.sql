-- The people of a large company and what they earned. All values follow from row numbers.
CREATE TABLE department (dept_no char(4) PRIMARY KEY, dept_name varchar(40) NOT NULL UNIQUE);
INSERT INTO department SELECT CONCAT('d', LPAD(seq, 3, '0')), CONCAT('Department ', seq) FROM seq_1_to_9;
CREATE TABLE employee (
    emp_no int PRIMARY KEY,
    birth_date date NOT NULL,
    first_name varchar(14) NOT NULL,
    last_name varchar(16) NOT NULL,
    gender enum('M', 'F', 'X') NOT NULL,
    hire_date date NOT NULL
);
INSERT INTO employee
SELECT 10000 + seq, ADDDATE('1952-02-01', seq * 31 % 4700), CONCAT('Given', seq % 1275), CONCAT('Family', seq * 13 % 1637),
    ELT(1 + seq % 3, 'M', 'F', 'X'), ADDDATE('1985-01-01', seq * 17 % 5400)
FROM seq_1_to_30000;
CREATE TABLE salary (
    emp_no int NOT NULL,
    salary int NOT NULL,
    from_date date NOT NULL,
    to_date date NOT NULL,
    PRIMARY KEY (emp_no, from_date)
);
INSERT INTO salary
SELECT 10000 + n.seq, 38000 + (n.seq * 7919 + y.seq * 1409) % 90000, ADDDATE('1986-06-26', n.seq % 365 + y.seq * 365),
    IF(y.seq = 8, '9999-01-01', ADDDATE('1986-06-26', n.seq % 365 + y.seq * 365 + 365))
FROM seq_1_to_30000 n, seq_0_to_8 y;
CREATE TABLE title (
    emp_no int NOT NULL,
    title varchar(50) NOT NULL,
    from_date date NOT NULL,
    to_date date
);
INSERT INTO title
SELECT 10000 + n.seq, ELT(1 + (n.seq + t.seq) % 4, 'Engineer', 'Senior Engineer', 'Staff', 'Technique Leader'),
    ADDDATE('1990-01-01', n.seq % 700 + t.seq * 800), IF(t.seq = 0, ADDDATE('1990-01-01', n.seq % 700 + 800), NULL)
FROM seq_1_to_30000 n, seq_0_to_1 t WHERE (n.seq + t.seq) % 5 > 0;
CREATE TABLE dept_emp (
    emp_no int NOT NULL,
    dept_no char(4) NOT NULL,
    from_date date NOT NULL,
    to_date date NOT NULL,
    PRIMARY KEY (dept_no, emp_no)
);
INSERT INTO dept_emp
SELECT 10000 + seq, CONCAT('d', LPAD(1 + seq % 9, 3, '0')), ADDDATE('1986-01-01', seq % 3000), '9999-01-01'
FROM seq_1_to_30000;
CREATE VIEW current_title AS
SELECT e.emp_no, CONCAT(e.first_name, ' ', e.last_name) AS name, t.title
FROM employee e JOIN title t USING (emp_no) WHERE t.to_date IS NULL;
