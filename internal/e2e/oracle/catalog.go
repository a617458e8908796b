package oracle

import "sort"

// In these, every object that a move could leave behind is a line of its own.
const (
	postgresCatalog = `SELECT encode(x::bytea,'hex') FROM (
 SELECT 'schema '||nspname||coalesce(' '||nspacl::text,'') x FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%'
 UNION ALL SELECT 'relation '||n.nspname||'.'||c.relname||' '||c.relkind::text||coalesce(' '||c.relacl::text,'') FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace WHERE n.nspname NOT LIKE 'pg\_%'
 UNION ALL SELECT 'column '||c.oid::regclass::text||'.'||a.attname||' '||format_type(a.atttypid,a.atttypmod)||' '||a.attnotnull FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace
  JOIN pg_attribute a ON a.attrelid=c.oid AND a.attnum>0 AND NOT a.attisdropped WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname<>'information_schema'
 UNION ALL SELECT 'trigger '||tgrelid::regclass::text||'.'||tgname||' '||tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
 UNION ALL SELECT 'constraint '||conrelid::regclass::text||'.'||conname||' '||pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid<>0
 UNION ALL SELECT 'function '||oid::regprocedure::text FROM pg_proc WHERE pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\_%' OR nspname='information_schema')
 UNION ALL SELECT 'type '||typname FROM pg_type WHERE typnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\_%' OR nspname='information_schema')
 UNION ALL SELECT 'role '||rolname||' '||rolcanlogin FROM pg_roles WHERE rolname NOT LIKE 'pg\_%'
 UNION ALL SELECT 'setting '||setrole||' '||setconfig::text FROM pg_db_role_setting WHERE setdatabase IN (0,(SELECT oid FROM pg_database WHERE datname=current_database()))
 UNION ALL SELECT 'database '||datname||' '||datallowconn||coalesce(datacl::text,'') FROM pg_database WHERE datname=current_database()
 UNION ALL SELECT 'event trigger '||evtname FROM pg_event_trigger) s`
	mariadbCatalog = `SELECT HEX(x) FROM (
 SELECT CONCAT('table ',table_name,' ',table_type,' ',IFNULL(engine,''),' ',IFNULL(table_collation,'')) x FROM information_schema.tables WHERE table_schema=DATABASE()
 UNION ALL SELECT CONCAT('column ',table_name,'.',column_name,' ',column_type,' ',is_nullable,' ',IFNULL(column_default,''),' ',extra) FROM information_schema.columns WHERE table_schema=DATABASE()
 UNION ALL SELECT CONCAT('index ',table_name,'.',index_name,' ',seq_in_index,' ',column_name) FROM information_schema.statistics WHERE table_schema=DATABASE()
 UNION ALL SELECT CONCAT('constraint ',table_name,'.',constraint_name) FROM information_schema.table_constraints WHERE table_schema=DATABASE()
 UNION ALL SELECT CONCAT('trigger ',event_object_table,'.',trigger_name) FROM information_schema.triggers WHERE trigger_schema=DATABASE()
 UNION ALL SELECT CONCAT('routine ',routine_name) FROM information_schema.routines WHERE routine_schema=DATABASE()
 UNION ALL SELECT CONCAT('event ',event_name) FROM information_schema.events WHERE event_schema=DATABASE()
 UNION ALL SELECT CONCAT('database ',schema_name) FROM information_schema.schemata WHERE schema_name=DATABASE() OR schema_name LIKE 'whimbrel%'
 UNION ALL SELECT CONCAT('account ',user,'@',host) FROM mysql.user
 UNION ALL SELECT CONCAT('global ',variable_name,'=',variable_value) FROM information_schema.global_variables
  WHERE variable_name IN ('READ_ONLY','EVENT_SCHEDULER','LOCAL_INFILE','SQL_MODE','TX_ISOLATION','FOREIGN_KEY_CHECKS','UNIQUE_CHECKS','INNODB_FLUSH_LOG_AT_TRX_COMMIT','SYNC_BINLOG','MAX_CONNECTIONS')) s`
	sqliteCatalog = `SELECT hex(type||' '||name||' '||coalesce(sql,'')) FROM sqlite_schema WHERE name<>'sqlite_sequence' AND name NOT LIKE 'sqlite\_stat%' ESCAPE '\'`
)

// Catalog lists every object of the database, and the server's settings that a move might touch, one a line, in order:
// before a move and after its reset the lists must be equal.
func (d *Database) Catalog() ([]string, error) {
	rows, err := d.Query(map[string]string{"postgres": postgresCatalog, "mariadb": mariadbCatalog, "sqlite": sqliteCatalog}[d.Product])
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = plain(r[0])
	}
	sort.Strings(lines)
	return lines, nil
}
