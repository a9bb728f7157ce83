//! The old database of a garage that never was: more than 5,000 rows, the same ones each time, dumped as `mysqldump` does.
//!
//! Beside the dump it tells what must come of it, counted while it is made and not by reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

pub const CARS: usize = 140;
pub const LEADS: usize = 900;
pub const CONVERSATIONS: usize = 760;
pub const MESSAGES: usize = 4_200;

/// The dump, and what must come of it.
pub struct Garage {
    pub dump: String,
    pub expected: Expected,
}

/// What must come of a dump.
#[derive(Debug, Default, Clone)]
pub struct Expected {
    pub published: usize,
    pub cents: u64,
    pub contacts: usize,
    pub conversations: usize,
    pub inbound: usize,
    pub stages: BTreeMap<&'static str, usize>,
}

/// The same numbers each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.roll(things.len())]
    }
}

/// A text as `mysqldump` writes it.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for character in text.chars() {
        match character {
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{1a}' => out.push_str("\\Z"),
            '\'' | '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

const NAMES: [&str; 14] = [
    "João",
    "Maria das Graças",
    "Zé",
    "Conceição",
    "D'Ávila",
    "Ana",
    "Luís",
    "Íris",
    "Müller",
    "Açucena",
    "Otávio",
    "Renê",
    "Vitória",
    "Noé",
];
const SURNAMES: [&str; 8] = [
    "Silva",
    "Souza",
    "Antônio",
    "Gonçalves",
    "d'Ornellas",
    "Assunção",
    "Brandão",
    "Pinho",
];
const MODELS: [(&str, &str); 8] = [
    ("Fiat", "Uno"),
    ("Citroën", "C3"),
    ("Volkswagen", "Gol"),
    ("Chevrolet", "Onix"),
    ("Renault", "Sandero"),
    ("Peugeot", "208"),
    ("Toyota", "Corolla"),
    ("Hyundai", "HB20"),
];
const WORDS: [&str; 9] = [
    "Oi! Ainda está à venda? 🚗",
    "Aceita troca?\nTenho um Gol 2012.",
    "Qual é o preço à vista; e parcelado?",
    "It's ok \\o/ \"combinado\"",
    "'); DROP TABLE `leads`; -- ",
    "Não),('sim',1),(NULL",
    "Bom dia\t:-)",
    "C:\\temp\\fotos",
    "Pode ser 15h30?",
];

const TABLES: &str = "\
CREATE TABLE `cars` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `marca` varchar(100) CHARACTER SET latin1 NOT NULL,
  `modelo` varchar(100) COLLATE utf8mb4_unicode_ci NOT NULL,
  `versao` varchar(100) DEFAULT NULL,
  `ano_fabricacao` year(4) DEFAULT NULL,
  `ano_modelo` year(4) DEFAULT NULL,
  `preco` decimal(10,2) DEFAULT NULL,
  `km` int(11) DEFAULT NULL,
  `combustivel` enum('flex','gasolina','álcool','diesel','gnv','outro') DEFAULT 'flex',
  `cambio` enum('manual','automático') DEFAULT NULL,
  `cor` varchar(50) DEFAULT NULL,
  `placa` char(8) DEFAULT NULL,
  `descricao` mediumtext,
  `foto` longblob,
  `destaque` bit(1) DEFAULT b'0',
  `status` tinyint(1) NOT NULL DEFAULT '1' COMMENT '1 = à venda; 0 = não',
  `created_at` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `updated_at` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`),
  KEY `idx_status` (`status`,`created_at`)
) ENGINE=InnoDB AUTO_INCREMENT=141 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
--
CREATE TABLE `conversas` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `lead_id` int(10) unsigned DEFAULT NULL,
  `telefone` varchar(30) DEFAULT NULL,
  `canal` varchar(20) NOT NULL DEFAULT 'whatsapp',
  `status` enum('aberta','pendente','encerrada') NOT NULL DEFAULT 'aberta',
  `iniciada_em` datetime DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `conversas_lead_id_foreign` (`lead_id`),
  CONSTRAINT `conversas_lead_id_foreign` FOREIGN KEY (`lead_id`) REFERENCES `leads` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
--
CREATE TABLE `leads` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `nome` varchar(255) NOT NULL,
  `telefone` varchar(30) DEFAULT NULL,
  `email` varchar(255) DEFAULT NULL,
  `origem` varchar(60) DEFAULT NULL,
  `status` enum('novo','em_atendimento','qualificado','proposta','vendido','perdido') DEFAULT 'novo',
  `interesse` varchar(255) DEFAULT NULL,
  `observacoes` text,
  `created_at` datetime DEFAULT NULL,
  `updated_at` datetime DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;
--
CREATE TABLE `mensagens` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `conversa_id` bigint(20) NOT NULL,
  `remetente` enum('cliente','bot','atendente') NOT NULL,
  `tipo` varchar(20) DEFAULT 'texto',
  `conteudo` longtext,
  `enviada_em` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `conversa_id` (`conversa_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
--
CREATE TABLE `usuarios` (
  `id` int(11) NOT NULL,
  `senha` varchar(255) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
";

/// The whole dump around these rows; tables stand in the order of their names, as `mysqldump` has them.
pub fn dump_of(tables: &[(&str, Vec<String>)]) -> String {
    let mut dump = String::from(
        "-- MySQL dump 10.13  Distrib 5.7.44, for Linux (x86_64)\n--\n-- Host: localhost    Database: feirao\n\
         -- ------------------------------------------------------\n-- Server version\t5.7.44-log\n\n\
         /*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;\n/*!40101 SET NAMES utf8mb4 */;\n\
         /*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n\
         /*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;\n\n",
    );
    for create in TABLES.split("--\n") {
        let name = create.split('`').nth(1).expect("a name");
        let rows = tables
            .iter()
            .find(|(table, _)| *table == name)
            .map(|(_, rows)| rows.as_slice());
        let _ = write!(
            dump,
            "--\n-- Table structure for table `{name}`\n--\n\nDROP TABLE IF EXISTS `{name}`;\n\
             /*!40101 SET @saved_cs_client     = @@character_set_client */;\n{create}\
             --\n-- Dumping data for table `{name}`\n--\n\nLOCK TABLES `{name}` WRITE;\n\
             /*!40000 ALTER TABLE `{name}` DISABLE KEYS */;\n"
        );
        for rows in rows.unwrap_or_default().chunks(700) {
            let _ = writeln!(dump, "INSERT INTO `{name}` VALUES {};", rows.join(","));
        }
        let _ = write!(
            dump,
            "/*!40000 ALTER TABLE `{name}` ENABLE KEYS */;\nUNLOCK TABLES;\n"
        );
    }
    dump.push_str(
        "DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER `t` BEFORE INSERT ON `leads` \
         FOR EACH ROW BEGIN SET NEW.nome = 'x;'; INSERT INTO mensagens VALUES (1); END */;;\nDELIMITER ;\n\
         /*!50001 CREATE VIEW `vendas` AS SELECT 1 AS `id` */;\n\n-- Dump completed on 2025-10-01  3:00:01\n",
    );
    dump
}

/// A number as people write it; what it is, is told apart from how it is written.
fn spelled(dice: &mut Dice, number: &str) -> String {
    let (area, first, last) = (&number[..2], &number[2..7], &number[7..]);
    match dice.roll(5) {
        0 => number.to_owned(),
        1 => format!("({area}) {first}-{last}"),
        2 => format!("+55 {area} {first}-{last}"),
        3 => format!("55{number}"),
        _ => format!("0{area} {first}.{last}"),
    }
}

impl Garage {
    pub fn new() -> Self {
        let mut dice = Dice(0x5eed_6a7a_9e01_2345);
        let mut expected = Expected::default();
        let cars = cars(&mut dice, &mut expected);
        let (leads, people) = leads(&mut dice, &mut expected);
        let (conversations, places) = conversations(&mut dice, &mut expected, &people);
        let messages = messages(&mut dice, &mut expected, places);
        let users = vec!["(1,'$2y$10$abcdefghijklmnopqrstuv')".to_owned()];
        let dump = dump_of(&[
            ("cars", cars),
            ("conversas", conversations),
            ("leads", leads),
            ("mensagens", messages),
            ("usuarios", users),
        ]);
        Self { dump, expected }
    }
}

fn cars(dice: &mut Dice, expected: &mut Expected) -> Vec<String> {
    let mut rows = Vec::new();
    for id in 1..=CARS {
        let (make, model) = dice.of(&MODELS);
        let is_shown = dice.roll(4) > 0;
        let (units, hundredths) = (9_000 + dice.roll(120_000), dice.of(&[0, 0, 50, 99]));
        let price = if id % 20 == 0 {
            "0.00".to_owned()
        } else {
            expected.cents += (units * 100 + hundredths) as u64;
            format!("{units}.{hundredths:02}")
        };
        expected.published += usize::from(is_shown);
        let year = 2005 + dice.roll(18);
        rows.push(format!(
            "({id},{},{},{},{},{},{price},{},{},{},{},{},{},{},{},{},'2024-{:02}-{:02} 10:{:02}:00','2024-12-{:02} 12:00:00')",
            quoted(make),
            quoted(model),
            if id % 3 == 0 { "NULL".to_owned() } else { quoted("1.0 Flex 8V") },
            if id % 11 == 0 { "0000".to_owned() } else { year.to_string() },
            year + 1,
            dice.roll(180_000),
            quoted(dice.of(&["flex", "gasolina", "álcool", "diesel", "gnv", "outro"])),
            if id % 7 == 0 { "NULL".to_owned() } else { quoted(dice.of(&["manual", "automático"])) },
            quoted(dice.of(&["Prata", "Branco", "Azul-marinho"])),
            if id % 9 == 0 { "NULL".to_owned() } else { quoted(&plate(id)) },
            if id % 5 == 0 { "NULL".to_owned() } else { quoted(dice.of(&WORDS)) },
            if id % 6 == 0 { "0xFFD8FFE000104A46" } else { "NULL" },
            if id % 2 == 0 { "_binary '\\0'" } else { "_binary '\u{1}'" },
            u8::from(is_shown),
            1 + dice.roll(12),
            1 + dice.roll(28),
            dice.roll(60),
            1 + dice.roll(30),
        ));
    }
    rows
}

fn plate(id: usize) -> String {
    let letter = |place: usize| char::from(b'A' + (id / 26_usize.pow(place as u32) % 26) as u8);
    if id.is_multiple_of(2) {
        format!("h{}{}-{:04}", letter(1), letter(0), id)
    } else {
        format!("H{}{}{}C{:02}", letter(1), letter(0), id % 10, id % 100)
    }
}

/// Who a lead is: a number, or nobody that could be told apart.
type People = Vec<Option<String>>;

fn leads(dice: &mut Dice, expected: &mut Expected) -> (Vec<String>, People) {
    let mut rows = Vec::new();
    let mut people = People::new();
    let stages = [
        ("novo", "new"),
        ("em_atendimento", "contacted"),
        ("qualificado", "qualified"),
        ("proposta", "proposal"),
        ("vendido", "won"),
        ("perdido", "lost"),
    ];
    for id in 1..=LEADS {
        // Some come a second time.
        let person = match dice.roll(12) {
            0 => None,
            1 if id > 50 => people[dice.roll(id - 1)].clone(),
            _ => Some(format!(
                "{}9{:08}",
                dice.of(&["11", "21", "51", "85"]),
                10_000_000 + id * 7_919
            )),
        };
        let (old, stage) = dice.of(&stages);
        *expected.stages.entry(stage).or_default() += 1;
        rows.push(format!(
            "({id},{},{},{},{},{},{},{},{},{})",
            quoted(&format!("{} {}", dice.of(&NAMES), dice.of(&SURNAMES))),
            person
                .as_ref()
                .map_or_else(|| "NULL".to_owned(), |number| quoted(&spelled(dice, number))),
            if id % 4 == 0 {
                quoted(&format!("Cliente{id}@Example.com"))
            } else {
                dice.of(&["NULL", "''"]).to_owned()
            },
            quoted(dice.of(&["Instagram", "Feirão", "OLX"])),
            quoted(old),
            if id % 3 == 0 {
                quoted("Citroën C3")
            } else {
                "NULL".to_owned()
            },
            if id % 5 == 0 {
                quoted(dice.of(&WORDS))
            } else {
                "NULL".to_owned()
            },
            if id % 50 == 0 {
                "'0000-00-00 00:00:00'".to_owned()
            } else {
                format!("'2025-0{}-1{} 23:30:00'", 1 + id % 9, id % 10)
            },
            if id % 2 == 0 {
                "'2025-09-30 08:00:00'"
            } else {
                "NULL"
            },
        ));
        people.push(person);
    }
    (rows, people)
}

/// For each old conversation the number of ours.
fn conversations(dice: &mut Dice, expected: &mut Expected, people: &People) -> (Vec<String>, usize) {
    let mut rows = Vec::new();
    let mut chats = BTreeSet::new();
    let mut contacts: BTreeSet<String> = people.iter().flatten().cloned().collect();
    for id in 1..=CONVERSATIONS {
        let lead = dice.roll(LEADS);
        let channel = dice.of(&["whatsapp", "whatsapp", "telegram"]);
        // Old rows without a lead have the number alone.
        let alone = id % 40 == 0;
        let person = match (&people[lead], alone) {
            (_, true) => format!("319{:08}", 20_000_000 + id * 31),
            (Some(number), false) => number.clone(),
            (None, false) => format!("lead {lead}"),
        };
        contacts.insert(person.clone());
        rows.push(format!(
            "({id},{},{},{},{},'2025-0{}-02 09:15:00')",
            if alone {
                "NULL".to_owned()
            } else {
                (lead + 1).to_string()
            },
            if alone {
                quoted(&spelled(dice, &person))
            } else {
                "NULL".to_owned()
            },
            quoted(channel),
            quoted(dice.of(&["aberta", "pendente", "encerrada"])),
            1 + id % 9,
        ));
        chats.insert((person, channel));
    }
    expected.contacts = contacts.len();
    expected.conversations = chats.len();
    (rows, CONVERSATIONS)
}

fn messages(dice: &mut Dice, expected: &mut Expected, conversations: usize) -> Vec<String> {
    let mut rows = Vec::new();
    for id in 1..=MESSAGES {
        let author = dice.of(&["cliente", "cliente", "bot", "atendente"]);
        expected.inbound += usize::from(author == "cliente");
        let kind = dice.of(&["texto", "texto", "texto", "audio", "figurinha"]);
        let words = if kind == "audio" {
            "NULL".to_owned()
        } else {
            quoted(dice.of(&WORDS))
        };
        rows.push(format!(
            "({id},{},{},{},{words},{})",
            1 + dice.roll(conversations),
            quoted(author),
            quoted(kind),
            if id % 100 == 0 {
                "NULL".to_owned()
            } else {
                format!("'2025-09-{:02} {:02}:00:00.125'", 1 + id % 28, id % 24)
            },
        ));
    }
    rows
}
