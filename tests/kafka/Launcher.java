import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

/**
 * Runs the main class that its first argument names, and ends with whoever holds its standard input.
 *
 * The line "stop" ends the process in good order; the end of the input, which is what is left of a
 * test that was killed, halts it at once. So no broker outlives its test.
 */
public final class Launcher {
    private Launcher() {}

    public static void main(String[] arguments) throws Exception {
        Thread watch = new Thread(Launcher::watch, "standard-input");
        watch.setDaemon(true);
        watch.start();
        Class<?> program = Class.forName(arguments[0]);
        String[] rest = Arrays.copyOfRange(arguments, 1, arguments.length);
        try {
            program.getMethod("main", String[].class).invoke(null, (Object) rest);
        } catch (InvocationTargetException e) {
            e.getCause().printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private static void watch() {
        StringBuilder line = new StringBuilder();
        try {
            for (int next = System.in.read(); next >= 0; next = System.in.read()) {
                if (next != '\n') {
                    line.append((char) next);
                } else if (line.toString().equals("stop")) {
                    System.exit(0);
                } else {
                    line.setLength(0);
                }
            }
        } catch (IOException e) {
            // The same as its end.
        }
        Runtime.getRuntime().halt(137);
    }
}
