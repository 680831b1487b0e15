# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is understood of dumps, those of former versions and of other tools included."""

from __future__ import annotations

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._copies import mysql_dump, postgres_dump
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import (
    database_objects,
    mysql_charset,
)
from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac.environment_spec import (
    EnvironmentFailure,
)

# As mysqldump writes it that was told the database only.
FORMER = r"""/*M!999999\- enable the sandbox mode */
-- MariaDB dump 10.19
/*!40101 SET NAMES utf8mb4 */;
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '';
DROP TABLE IF EXISTS `ticket`;
CREATE TABLE `ticket` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `summary` mediumtext DEFAULT 'a;\nb',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
LOCK TABLES `ticket` WRITE;
/*!40000 ALTER TABLE `ticket` DISABLE KEYS */;
INSERT INTO `ticket` VALUES
(1,'CREATE TABLE `x` (;\nDELIMITER $$\n'),
(2,'-- no comment');
UNLOCK TABLES;
ALTER DATABASE `old` CHARACTER SET utf8mb3 COLLATE utf8mb3_bin ;
/*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES' */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `stamp` BEFORE INSERT ON `ticket` FOR EACH ROW BEGIN
  SET NEW.summary = 'x'; /* why */
END */;;
DELIMITER ;
/*!50003 SET sql_mode              = @saved_sql_mode */ ;
DROP TABLE IF EXISTS `open`;
/*!50001 CREATE TABLE `open` (
  `id` tinyint NOT NULL
) ENGINE=MyISAM */;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`ro``ot`@`%` SQL SECURITY DEFINER */
/*!50001 VIEW `open` AS select `ticket`.`id` AS `id` from `ticket` */;

-- Dump completed on 2026-12-01
"""  # noqa: E501


def read(text: str) -> list[mysql_dump.Statement]:
    return list(mysql_dump.statements(text.encode().splitlines(keepends=True)))


def test_a_dump_of_a_former_version_is_understood() -> None:
    found = read(FORMER)
    assert [(each.kind, each.name) for each in found if each.kind in ("table", "rows")] == [
        ("table", "ticket"),
        ("rows", "ticket"),
    ]
    trigger, view = (each.object for each in found if each.object)
    assert trigger is not None
    assert trigger == database_objects.Object(
        "TRIGGER",
        "stamp",
        "root@localhost",
        "CREATE TRIGGER `stamp` BEFORE INSERT ON `ticket` FOR EACH ROW BEGIN\n"
        "  SET NEW.summary = 'x'; /* why */\nEND",
        "STRICT_TRANS_TABLES",
    )
    assert view is not None
    assert (view.kind, view.name, view.definer, view.sql_mode) == (
        "VIEW",
        "open",
        "ro" + "ot@%",
        None,
    )
    assert view.statement == (
        "CREATE ALGORITHM=UNDEFINED SQL SECURITY DEFINER "
        "VIEW `open` AS select `ticket`.`id` AS `id` from `ticket`"
    )
    run = b"\n".join(each.text for each in found if each.kind == "set")
    assert b"GTID_PURGED" not in run
    assert b"NAMES utf8mb4" in run


@pytest.mark.parametrize("cut", ["-- Dump completed", "(2,'-- no", "END */;;"])
def test_a_dump_that_is_cut_off_is_refused(cut: str) -> None:
    with pytest.raises(EnvironmentFailure, match="cut off"):
        read(FORMER[: FORMER.index(cut)])


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(EnvironmentFailure, match="what is not known: GRANT ALL"):
        read("GRANT ALL ON *.* TO x;\n-- Dump completed\n")


def test_what_we_write_is_read_again() -> None:
    body = "CREATE PROCEDURE `odd``name`() BEGIN SELECT ';;';\n END"
    each = database_objects.Object("PROCEDURE", "odd`name", "a\nb@%", body, "ANSI")
    (found,) = [
        each.object
        for each in read(mysql_dump._written(each) + "-- Dump completed\n")
        if each.object
    ]
    assert found == each._replace(definer="a b@%")


@pytest.mark.parametrize(
    ("granted", "database", "fits"),
    [
        ("*", "trac", True),
        ("`trac`", "trac", True),
        (r"`trac\_a`", "trac_a", True),
        (r"`trac\_a`", "tracxa", False),
        ("`trac_a`", "tracxa", True),
        ("`tr%`", "trac", True),
        ("`tr.c`", "trac", False),
    ],
)
def test_a_grant_is_of_databases_by_pattern(granted: str, database: str, fits: bool) -> None:
    assert database_objects._is_of(granted, database) is fits


OLD = """CREATE TABLE `t` (
  `a` mediumtext COLLATE utf8_bin,
  `b` varchar(200) CHARACTER SET utf8 DEFAULT 'COLLATE utf8_bin',
  `c` mediumtext CHARACTER SET utf8mb3 COLLATE utf8mb3_bin,
  `utf8_bin` int,
  PRIMARY KEY (`a`(255),`utf8_bin`),
  UNIQUE KEY `wide` (`a`(255),`b`,`c`(255),`d`(255)),
  KEY `one` (`a`(255)),
  KEY `size` (`b`),
  KEY `five` (`a`(204),`b`(20),`c`(204),`d`(204),`e`(204)) USING BTREE
) ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_bin ROW_FORMAT=COMPACT"""
NEW = """CREATE TABLE `t` (
  `a` mediumtext COLLATE utf8mb4_bin,
  `b` varchar(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT 'COLLATE utf8_bin',
  `c` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  `utf8_bin` int,
  PRIMARY KEY (`a`(255),`utf8_bin`),
  UNIQUE KEY `wide` (`a`(191),`b`(191),`c`(191),`d`(191)),
  KEY `one` (`a`(191)),
  KEY `size` (`b`),
  KEY `five` (`a`(153),`b`(20),`c`(153),`d`(153),`e`(153)) USING BTREE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC"""


def test_a_table_of_utf8_becomes_one_of_utf8mb4() -> None:
    assert mysql_charset.converted(OLD) == NEW
    assert mysql_charset.converted(NEW) == NEW
    latin = "CREATE TABLE `t` (\n  KEY `a` (`a`(255))\n) DEFAULT CHARSET=latin1"
    assert mysql_charset.converted(latin) == latin


POSTGRES = r"""--
-- PostgreSQL database dump
--
--
-- Name: stamp(); Type: FUNCTION; Schema: public; Owner: -
--
CREATE FUNCTION public.stamp() RETURNS trigger AS $$ BEGIN END $$;
--
-- Name: ticket; Type: TABLE; Schema: public; Owner: -
--
CREATE TABLE public.ticket (id integer, summary text);
--
-- Data for Name: ticket; Type: TABLE DATA; Schema: public; Owner: -
--
COPY public.ticket (id, summary) FROM stdin;
-- Name: no; Type: TABLE; Schema: public; Owner: -
\.
--
-- PostgreSQL database dump complete
--
"""


def test_the_parts_of_a_dump_of_postgresql() -> None:
    lines = POSTGRES.encode().splitlines(keepends=True)
    found = list(postgres_dump.entries(lines))
    assert b"".join(each.text for each in found) == POSTGRES.encode()
    assert [each.name for each in found if each.type == "TABLE"] == ["ticket"]
    (function,) = [each for each in found if each.type == "FUNCTION"]
    assert postgres_dump._loaded(function, True).startswith(b"DO $trac_single$")
    with pytest.raises(EnvironmentFailure, match="cut off"):
        list(postgres_dump.entries(lines[:-3]))
