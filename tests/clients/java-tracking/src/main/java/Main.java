import com.google.gson.Gson;
import java.util.List;
import java.util.Map;

/**
 * Calls Segment's or RudderStack's SDK: the first argument names it, the second says what to do.
 * KEY, HOST, USER_ID and COUNT come from the environment. The last line it prints is JSON: the
 * errors that the callbacks were told.
 */
public final class Main {
    private static final int SEVERAL = 8;

    private Main() {}

    public static void main(String[] arguments) throws InterruptedException {
        Map<String, String> given = System.getenv();
        String key = given.get("KEY");
        String host = given.get("HOST");
        String user = given.get("USER_ID");
        boolean isCalls = arguments[1].equals("calls");
        int threads = isCalls ? 1 : SEVERAL;
        int count = isCalls ? 0 : Integer.parseInt(given.get("COUNT"));
        List<String> errors;
        if (arguments[0].equals("segment")) {
            errors = Segment.send(
                key, host, isCalls ? Segment.everyCall(user) : Segment.numbered(user, count), threads);
        } else {
            errors = Rudder.send(
                key, host, isCalls ? Rudder.everyCall(user) : Rudder.numbered(user, count), threads);
        }
        System.out.println(new Gson().toJson(errors));
        System.exit(0);
    }
}
